from django.db import migrations, models


class Migration(migrations.Migration):
    """When the retention was last at work."""

    dependencies = [("delivery", "0019_event_listed")]

    operations = [
        migrations.CreateModel(
            name="RetentionMark",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("ended_at", models.DateTimeField()),
                (
                    "done_at",
                    models.DateTimeField(help_text="When a pass last got through everything.", null=True),
                ),
            ],
        ),
    ]
