from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("delivery", "0003_replay"), ("subscriptions", "0002_disabled_and_notices")]

    operations = [
        migrations.AddField(
            model_name="delivery",
            name="claims_lost",
            field=models.PositiveSmallIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="delivery",
            name="held_at",
            field=models.DateTimeField(blank=True, help_text="Since when it waits for a person.", null=True),
        ),
    ]
