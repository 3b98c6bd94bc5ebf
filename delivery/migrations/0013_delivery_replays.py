from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Built beside running traffic: the table may be large."""

    atomic = False

    dependencies = [("delivery", "0012_fan_out")]

    operations = [
        AddIndexConcurrently(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("replay_of__isnull", False)),
                fields=["replay_of"],
                name="delivery_replays",
            ),
        ),
    ]
