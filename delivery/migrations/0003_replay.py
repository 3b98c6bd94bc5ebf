import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Now

import subscriptions.ids

UNFINISHED = models.Q(state__in=["paused", "running"])


class Migration(migrations.Migration):
    dependencies = [("delivery", "0002_delivery_fillfactor"), ("subscriptions", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="Replay",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=subscriptions.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        help_text="None: of all organizations, from the command line or the admin.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="subscriptions.organization",
                    ),
                ),
                ("replay_key", models.CharField(blank=True, max_length=128, null=True)),
                ("filter", models.JSONField(help_text="As delivery/replays/filter.py writes it.")),
                (
                    "include_delivered",
                    models.BooleanField(default=False, help_text="Also what has succeeded since."),
                ),
                (
                    "new_ids",
                    models.BooleanField(default=False, help_text="Each copy has a `webhook-id` of its own."),
                ),
                (
                    "limit",
                    models.PositiveBigIntegerField(blank=True, help_text="The oldest so many.", null=True),
                ),
                ("rate_per_second", models.FloatField(help_text="New deliveries per second, at the most.")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("running", "running"),
                            ("paused", "paused"),
                            ("cancelled", "cancelled"),
                            ("done", "done"),
                        ],
                        default="running",
                        max_length=16,
                    ),
                ),
                ("cursor", models.UUIDField()),
                (
                    "matched",
                    models.PositiveBigIntegerField(
                        blank=True, help_text="When it was made; None: counting took too long.", null=True
                    ),
                ),
                ("examined", models.PositiveBigIntegerField(default=0)),
                ("replayed", models.PositiveBigIntegerField(default=0)),
                ("skipped", models.JSONField(default=dict, help_text="Why not, and how many.")),
                ("created_at", models.DateTimeField(db_default=Now(), editable=False)),
                ("updated_at", models.DateTimeField(db_default=Now(), editable=False)),
                (
                    "next_chunk_at",
                    models.DateTimeField(db_default=Now(), help_text="Not before; keeps the rate."),
                ),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(replay_key__isnull=False),
                        fields=("organization", "replay_key"),
                        name="replay_once_per_key",
                        nulls_distinct=False,
                    ),
                    models.CheckConstraint(
                        condition=(models.Q(finished_at__isnull=True) & UNFINISHED)
                        | (models.Q(finished_at__isnull=False) & ~UNFINISHED),
                        name="replay_finished_when_ended",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(rate_per_second__gt=0), name="replay_has_a_rate"
                    ),
                ],
                "indexes": [
                    models.Index(
                        condition=models.Q(state="running"), fields=["next_chunk_at"], name="replay_due"
                    ),
                    models.Index("organization", models.F("id").desc(), name="replay_listed"),
                ],
            },
        )
    ]
