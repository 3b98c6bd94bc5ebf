from django.db import migrations, models

HELP = "Empty: as the settings say; 0: for ever."


class Migration(migrations.Migration):

    dependencies = [("subscriptions", "0008_rate_limit")]

    operations = [
        migrations.AddField(
            model_name="organization",
            name="attempts_retention_days",
            field=models.PositiveIntegerField(blank=True, help_text=f"Of the log of attempts. {HELP}", null=True),
        ),
        migrations.AddField(
            model_name="organization",
            name="bodies_retention_days",
            field=models.PositiveIntegerField(blank=True, help_text=f"Of what was sent. {HELP}", null=True),
        ),
        migrations.AddField(
            model_name="organization",
            name="events_retention_days",
            field=models.PositiveIntegerField(
                blank=True, help_text=f"Of events with all that belongs to them. {HELP}", null=True
            ),
        ),
    ]
