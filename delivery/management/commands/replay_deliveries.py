"""Sends ended deliveries again, by id, run, subscription, event type, time, answer or state.

The replay is a row that running workers carry out, too; this command does its chunks itself as well,
so it needs none of them, and whoever is interrupted leaves the rest to the others.
"""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from delivery.management.long import INTERRUPTED, ProgressLine, duration, interruption
from delivery.management.replay_options import add_options, new_replay, replay_to_resume
from delivery.models import Delivery, Replay
from delivery.replays import chunks as replay_chunks
from delivery.replays import services as replays
from delivery.replays.model import ReplayState
from delivery.replays.plan import NewReplay, forecast, judged_now
from subscriptions.management.audited import AuditedCommand
from webhooks_project.errors import DomainError

EXAMPLES = 5
# While the rate or somebody else's chunk makes it wait, it looks this often.
LOOK_SECONDS = 0.25


class Command(AuditedCommand):
    help = "Replay ended deliveries that match all given filters, oldest first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["resume"]:
                self._carry_out(replay_to_resume(options))
                return
            new = new_replay(options)
            if options["dry_run"]:
                self._show(new)
            else:
                self._carry_out(replays.replay_create(new, count_seconds=None)[0])
        except DomainError as error:
            raise CommandError(error.detail) from error

    def _show(self, new: NewReplay) -> None:
        rows = judged_now(new).filter(skip="").order_by("pk")
        examples = list(rows.values_list("pk", flat=True)[:EXAMPLES])
        for delivery in Delivery.objects.filter(pk__in=examples).select_related("event").order_by("pk"):
            self.stdout.write(f"{delivery.id} {delivery.state} {delivery.event.type} {delivery.url}")
        found = forecast(new, count_seconds=None)
        for state, count in sorted(found.by_state.items()):
            self.stdout.write(f"{state}: {count}")
        for reason, count in sorted(found.skipped.items()):
            self.stdout.write(f"not replayable, {reason}: {count}")
        self.stdout.write(f"would replay {counted(found.replayable, found.matched - found.replayable)}")

    def _carry_out(self, replay: Replay) -> None:
        if replay.state == ReplayState.PAUSED:
            replays.replay_resume(replay)
        progress, line = Progress(replay), ProgressLine(self.stderr)
        with interruption() as interrupted:
            while replay.state == ReplayState.RUNNING and not interrupted.is_set():
                if not replay_chunks.advance(replay.pk):
                    interrupted.wait(min(LOOK_SECONDS, replay_chunks.seconds_until_due(replay.pk)))
                replay.refresh_from_db()
                line.show(progress.text(replay))
        line.end()
        if interrupted.is_set():
            self._interrupt(replay)
        summary = counted(replay.replayed, replay.examined - replay.replayed)
        if replay.state != ReplayState.DONE:
            raise CommandError(f"the replay {replay.pk} is {replay.state}; replayed {summary}")
        self.stdout.write(f"replayed {summary}")

    def _interrupt(self, replay: Replay) -> None:
        """Pause it, for running workers would go on; nothing is to be paused if it just ended."""
        if replay.state == ReplayState.RUNNING:
            try:
                replays.replay_pause(replay)
            except DomainError:
                replay.refresh_from_db()
        if replay.state == ReplayState.DONE:
            return
        summary = counted(replay.replayed, replay.examined - replay.replayed)
        self.stdout.write(f"interrupted; replayed {summary}")
        if replay.state == ReplayState.PAUSED:
            self.stdout.write(f"go on: manage.py replay_deliveries --resume {replay.pk}")
        raise SystemExit(INTERRUPTED)


class Progress:
    """How far a replay is, and when it may be through at the present pace."""

    def __init__(self, replay: Replay) -> None:
        self._examined_before = replay.examined
        self._began = time.monotonic()

    def text(self, replay: Replay) -> str:
        text = f"replayed {replay.replayed:,}, looked at {replay.examined:,}"
        if replay.matched is None:
            return text
        text += f" of {replay.matched:,}"
        pace = (replay.examined - self._examined_before) / max(0.001, time.monotonic() - self._began)
        left = max(0, replay.matched - replay.examined)
        return f"{text}, {duration(left / pace)} left" if pace else text


def counted(count: int, skipped: int) -> str:
    return f"{count} {'delivery' if count == 1 else 'deliveries'} ({skipped} not replayable)"
