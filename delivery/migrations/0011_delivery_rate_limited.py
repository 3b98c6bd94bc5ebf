from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Built beside running traffic: the table may be large."""

    atomic = False

    dependencies = [("delivery", "0010_worker_load")]

    operations = [
        AddIndexConcurrently(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("finished_at__isnull", True), ("reason", "rate_limited")),
                fields=["subscription", "next_attempt_at"],
                name="delivery_rate_limited",
            ),
        ),
    ]
