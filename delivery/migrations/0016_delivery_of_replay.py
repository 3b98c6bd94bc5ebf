from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Built beside running traffic: the table may be large."""

    atomic = False

    dependencies = [("delivery", "0015_delivery_replay")]

    operations = [
        AddIndexConcurrently(
            model_name="delivery",
            index=models.Index(
                models.F("replay"),
                models.F("state"),
                models.OrderBy(models.F("id"), descending=True),
                name="delivery_of_replay",
                condition=models.Q(("replay__isnull", False)),
            ),
        ),
    ]
