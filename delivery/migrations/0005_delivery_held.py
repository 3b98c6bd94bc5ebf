from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Built beside running traffic: the table may be large."""

    atomic = False

    dependencies = [("delivery", "0004_delivery_claims_lost")]

    operations = [
        AddIndexConcurrently(
            model_name="delivery",
            index=models.Index(condition=models.Q(("state", "held")), fields=["held_at"], name="delivery_held"),
        ),
    ]
