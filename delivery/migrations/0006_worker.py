import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("delivery", "0005_delivery_held")]

    operations = [
        migrations.CreateModel(
            name="Worker",
            fields=[
                ("name", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("host", models.CharField(max_length=255)),
                ("process_id", models.PositiveIntegerField()),
                (
                    "queues",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=128), size=None
                    ),
                ),
                ("concurrency", models.PositiveIntegerField()),
                (
                    "clock_ahead_seconds",
                    models.FloatField(help_text="Its host's clock against the database's."),
                ),
                ("idle_seconds", models.FloatField(help_text="Since it last received a message, when it was seen.")),
                ("started_at", models.DateTimeField()),
                ("seen_at", models.DateTimeField()),
            ],
        ),
    ]
