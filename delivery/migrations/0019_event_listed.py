from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Built beside running traffic: the table may be large."""

    atomic = False

    dependencies = [("delivery", "0018_retention")]

    operations = [
        AddIndexConcurrently(
            model_name="event",
            index=models.Index(fields=["organization", "id"], name="event_listed"),
        ),
    ]
