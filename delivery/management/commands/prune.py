"""Deletes attempts, bodies and events that are as old as they may become, or says what it would delete.

Beat has the same done every five minutes; this is for seeing it before, for a first time on large tables, and
for a disk that is full. It can be broken off and run again at any time.
"""

import time
from argparse import ArgumentParser
from collections import Counter
from math import inf
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction
from django.utils import timezone

from delivery.management.long import INTERRUPTED, ProgressLine, duration, interruption
from delivery.management.replay_options import parse, parse_organization, parse_rate, whole_number
from delivery.retention.policy import Policy, policies
from delivery.retention.preview import COUNT_MAX_ROWS, KINDS, preview
from delivery.retention.prune import OthersPrune, Pace, Tally, prune
from subscriptions import audit
from subscriptions.management.audited import AuditedCommand


class Command(AuditedCommand):
    help = "Delete attempts, bodies and events that are older than they are kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only count, by organization and table.")
        parser.add_argument("--organization", metavar="NAME_OR_ID", help="Default: all of them.")
        parser.add_argument(
            "--older-than",
            metavar="DAYS",
            help="Instead of the days of the settings; instead of an organization's own ones only with "
            "--organization.",
        )
        parser.add_argument("--rate", metavar="N", help="Rows per second, at the most.")

    def handle(self, *args: Any, **options: Any) -> None:
        organization = parse(options, "organization", parse_organization)
        days = parse(options, "older_than", parse_days)
        rate = parse(options, "rate", parse_positive_rate)
        wanted = list(policies(organization, older_than_days=days))
        if options["dry_run"]:
            self._show(wanted, Pace(rate=rate).rows_per_second)
            return
        if days is not None:
            with transaction.atomic():
                of = "all" if organization is None else organization.public_id
                audit.record("retention.pruned", of, organization=organization, after={"days": days})
        self._prune(wanted, rate)

    def _show(self, wanted: list[Policy], rate: float) -> None:
        """A line for each organization of which something would go."""
        now = timezone.now()
        total: Counter[str] = Counter()
        for policy in wanted:
            counts = preview(policy, now)
            if counts.total():
                self.stdout.write(f"{policy.name}: {_counted(counts, most=COUNT_MAX_ROWS)}")
            total += counts
        seconds = duration(total.total() / rate)
        self.stdout.write(
            f"would delete {_counted(total, most=COUNT_MAX_ROWS)}; at {rate:g} rows a second in {seconds}"
        )

    def _prune(self, wanted: list[Policy], rate: float | None) -> None:
        """With progress on a terminal only: the count for it costs as much as some batches."""
        line = ProgressLine(self.stderr)
        expected = sum(preview(policy, timezone.now()).total() for policy in wanted) if line.is_seen else 0
        began = time.monotonic()

        def progress(tally: Tally) -> None:
            line.show(_progress(tally, expected, began))

        with interruption() as interrupted:
            pace = Pace(stop=interrupted.is_set, pause=interrupted.wait, rate=rate)
            try:
                tally = prune(wanted, pace, progress)
            except OthersPrune:
                raise CommandError("another process prunes at this moment; try again later") from None
        line.end()
        if not tally.is_done:
            self.stdout.write(f"interrupted; deleted {_counted(tally.deleted)}; run it again to go on")
            raise SystemExit(INTERRUPTED)
        self.stdout.write(f"deleted {_counted(tally.deleted)}")


def _counted(counts: Counter[str], *, most: float = inf) -> str:
    """What reached the bound of a count may be more."""
    return ", ".join(f"{counts[kind]:,}{' or more' if counts[kind] >= most else ''} {kind}" for kind in KINDS)


def _progress(tally: Tally, expected: int, began: float) -> str:
    done = tally.deleted.total()
    text = f"deleted {done:,} of about {max(expected, done):,}"
    pace = done / max(0.001, time.monotonic() - began)
    return f"{text}, {duration(max(0, expected - done) / pace)} left" if pace else text


def parse_days(text: str) -> int:
    number = whole_number(text)
    if not number:
        raise ValueError(f"{text!r} is not a whole number of days of at least 1")
    return number


def parse_positive_rate(text: str) -> float:
    rate = parse_rate(text)
    if not 0 < rate < inf:
        raise ValueError(f"{text!r} is not a number above 0")
    return rate
