import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    """Where the time of an attempt went; null in those that were recorded before."""

    dependencies = [("delivery", "0016_delivery_of_replay")]

    operations = [
        migrations.AddField(
            model_name="attempt",
            name="phases",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.IntegerField(null=True),
                blank=True,
                help_text="Microseconds of look-up, connecting, TLS, waiting and reading.",
                null=True,
                size=5,
            ),
        ),
    ]
