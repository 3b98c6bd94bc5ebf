import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Bodies may go before their deliveries do: a constraint less, which takes a lock for a moment only."""

    dependencies = [
        ("delivery", "0017_attempt_phases"),
        ("subscriptions", "0009_organization_retention"),
    ]

    operations = [
        migrations.CreateModel(
            name="BodiesMark",
            fields=[
                (
                    "organization",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="subscriptions.organization",
                    ),
                ),
                ("up_to", models.UUIDField()),
            ],
        ),
        migrations.AlterField(
            model_name="delivery",
            name="body",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="delivery.eventbody",
            ),
        ),
    ]
