from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("subscriptions", "0009_organization_retention")]

    operations = [
        migrations.AddField(
            model_name="subscription",
            name="failing_told_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="subscription",
            name="last_told_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
