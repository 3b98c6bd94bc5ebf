import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Which replay of many made a delivery; null in those that were made before."""

    dependencies = [("delivery", "0014_attempt_counts")]

    operations = [
        migrations.AddField(
            model_name="delivery",
            name="replay",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                help_text="The replay of many that made it.",
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="copies",
                to="delivery.replay",
            ),
        ),
    ]
