"""Sends ended deliveries again, by id, run, subscription, event type, time or state."""

import signal
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from threading import Event as Flag
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q, QuerySet

from delivery import services
from delivery.models import Delivery
from delivery.states import ENDED, State
from subscriptions.event_types import CATALOGUE, is_custom_name
from subscriptions.ids import first_uuid7
from subscriptions.models import Organization, Subscription

FILTERS = ("id", "run", "subscription", "event_type", "state", "organization", "since", "until")
# What was delivered is sent again only on request.
DEFAULT_STATES = (State.EXHAUSTED, State.CANCELLED, State.BLOCKED)
FIRST_YEAR = 2000
EXAMPLES = 5
INTERRUPTED = 130


class Command(BaseCommand):
    help = "Replay ended deliveries that match all given filters, oldest first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--id", nargs="+", action="extend", metavar="UUID")
        parser.add_argument("--run", metavar="RUN_ID")
        parser.add_argument("--subscription", metavar="ID")
        parser.add_argument("--event-type", metavar="TYPE")
        parser.add_argument(
            "--state",
            nargs="+",
            action="extend",
            help=f"Of {', '.join(sorted(ENDED))}. Default: all but delivered.",
        )
        parser.add_argument("--organization", metavar="NAME_OR_ID")
        parser.add_argument(
            "--since", metavar="ISO", help="Made at this time or later; UTC unless it says otherwise."
        )
        parser.add_argument("--until", metavar="ISO", help="Made before this time.")
        parser.add_argument("--limit", metavar="N", help="The oldest N that match.")
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be replayed.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not any(options[name] for name in FILTERS):
            names = ", ".join(f"--{name.replace('_', '-')}" for name in FILTERS)
            raise CommandError(f"at least one filter is needed: {names}")
        rows = matching(options).order_by("id")
        limit = parse_limit(options["limit"])
        chunks = in_chunks(rows if limit is None else rows[:limit])
        if options["dry_run"]:
            self._show(chunks)
        else:
            self._replay(chunks)

    def _show(self, chunks: Iterator[list[Delivery]]) -> None:
        count = skipped = 0
        for delivery in (delivery for chunk in chunks for delivery in chunk):
            if services.why_not_replayable(delivery):
                skipped += 1
                continue
            count += 1
            if count <= EXAMPLES:
                self.stdout.write(f"{delivery.id} {delivery.state} {delivery.event.type} {delivery.url}")
        self.stdout.write(f"would replay {counted(count, skipped)}")

    def _replay(self, chunks: Iterator[list[Delivery]]) -> None:
        count = skipped = 0
        shows_progress = self.stderr.isatty()
        with interruption() as interrupted:
            for chunk in chunks:
                replayed = len(list(services.replay_many(chunk)))
                count += replayed
                skipped += len(chunk) - replayed
                if shows_progress:
                    self.stderr.write(f"\rreplayed {count:,} …", ending="")
                if interrupted.is_set():
                    break
        if shows_progress:
            self.stderr.write("")
        if interrupted.is_set():
            self.stdout.write(f"interrupted; replayed {counted(count, skipped)}")
            raise SystemExit(INTERRUPTED)
        self.stdout.write(f"replayed {counted(count, skipped)}")


def counted(count: int, skipped: int) -> str:
    return f"{count} {'delivery' if count == 1 else 'deliveries'} ({skipped} not replayable)"


@contextmanager
def interruption() -> Iterator[Flag]:
    """Ctrl-C is noted, so that the numbers are those of what was committed; a second one ends at once."""
    noted = Flag()

    def note(*_: Any) -> None:
        noted.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)


def in_chunks(rows: QuerySet[Delivery]) -> Iterator[list[Delivery]]:
    stream = rows.select_related("event").iterator(chunk_size=services.REPLAY_CHUNK_ROWS)
    while chunk := list(islice(stream, services.REPLAY_CHUNK_ROWS)):
        yield chunk


def matching(options: dict[str, Any]) -> QuerySet[Delivery]:
    """The deliveries that all given filters let through; raises CommandError naming the option."""
    found = Q(state__in=parse_states(options["state"]))
    if options["id"]:
        found &= Q(id__in=parse_ids(options["id"]))
    if options["run"]:
        found &= Q(event__subject=options["run"])
    if options["subscription"]:
        found &= Q(subscription_id=parse_subscription(options["subscription"]))
    if options["event_type"]:
        found &= Q(event__type=parse_event_type(options["event_type"]))
    if options["organization"]:
        organization = parse_organization(options["organization"])
        # Both, for each table has its own index.
        found &= Q(organization=organization, event__organization=organization)
    return Delivery.objects.filter(found & made_between(options["since"], options["until"]))


def made_between(since_text: str | None, until_text: str | None) -> Q:
    since, until = parse_time("--since", since_text), parse_time("--until", until_text)
    made = Q()
    if since is not None:
        # The key begins with the time by the clock of the machine that made it, so the primary key
        # can skip what is older; an hour is for clocks that differ and for long transactions.
        earliest = first_uuid7(int((since - timedelta(hours=1)).timestamp() * 1000))
        made &= Q(created_at__gte=since, id__gte=earliest)
    if until is not None:
        made &= Q(created_at__lt=until)
    if since is not None and until is not None and since >= until:
        raise CommandError("--until must be later than --since")
    return made


def parse_ids(texts: list[str]) -> list[UUID]:
    try:
        ids = [UUID(text) for text in texts]
    except ValueError:
        raise CommandError(f"--id: not all of {', '.join(texts)} are UUIDs") from None
    known = set(Delivery.objects.filter(id__in=ids).values_list("id", flat=True))
    unknown = [str(id_) for id_ in ids if id_ not in known]
    if unknown:
        raise CommandError(f"--id: no delivery {', '.join(unknown)}")
    return ids


def parse_states(texts: list[str] | None) -> list[State]:
    unknown = [text for text in texts or () if text not in ENDED]
    if unknown:
        raise CommandError(f"--state: {unknown[0]!r} is not one of {', '.join(sorted(ENDED))}")
    return [State(text) for text in texts or DEFAULT_STATES]


def parse_subscription(text: str) -> int:
    number = whole_number(text)
    if number is None or not Subscription.objects.filter(pk=number).exists():
        raise CommandError(f"--subscription: no subscription {text!r}")
    return number


def parse_event_type(text: str) -> str:
    if text not in CATALOGUE and not is_custom_name(text):
        raise CommandError(
            f"--event-type: {text!r} is neither a custom name nor one of {', '.join(CATALOGUE)}"
        )
    return text


def parse_organization(text: str) -> Organization:
    organization = Organization.objects.filter(Q(public_id=text) | Q(name=text)).order_by("id").first()
    if organization is None:
        raise CommandError(f"--organization: no organization {text!r}")
    return organization


def parse_time(option: str, text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{option}: {text!r} is not a time such as 2026-01-31T08:00:00Z") from None
    if moment.year < FIRST_YEAR:
        raise CommandError(f"{option}: nothing is older than {FIRST_YEAR}")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_limit(text: str | None) -> int | None:
    if text is None:
        return None
    number = whole_number(text)
    if not number:
        raise CommandError(f"--limit: {text!r} is not a whole number of at least 1")
    return number


def whole_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
