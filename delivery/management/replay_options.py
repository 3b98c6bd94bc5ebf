"""What the options of `replay_deliveries` say; a wrong one raises CommandError that names it."""

from argparse import ArgumentParser
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from django.core.management.base import CommandError
from django.db.models import Q

from delivery.models import Delivery, Replay
from delivery.replays.filter import ANSWERS, ReplayFilter
from delivery.replays.model import REPLAY_KEY_MAX_CHARACTERS
from delivery.replays.plan import NewReplay
from delivery.states import ENDED
from subscriptions.event_types import CATALOGUE, is_custom_name
from subscriptions.models import Organization, Subscription

FILTERS = ("id", "run", "subscription", "event_type", "state", "answer", "organization", "since", "until")
HOW = ("limit", "rate", "key", "include_delivered", "new_ids", "dry_run")
FIRST_YEAR = 2000

Parsed = TypeVar("Parsed")


def add_options(parser: ArgumentParser) -> None:
    several: dict[str, Any] = {"nargs": "+", "action": "extend"}
    parser.add_argument("--id", metavar="UUID", **several)
    parser.add_argument("--run", metavar="RUN_ID")
    parser.add_argument("--subscription", metavar="ID")
    parser.add_argument("--event-type", metavar="TYPE", **several)
    states = ", ".join(sorted(ENDED))
    parser.add_argument("--state", help=f"Of {states}. Default: all but delivered.", **several)
    parser.add_argument("--answer", help=f"The last one, of {', '.join(ANSWERS)}.", **several)
    parser.add_argument("--organization", metavar="NAME_OR_ID")
    parser.add_argument(
        "--since", metavar="ISO", help="Made at this time or later; UTC unless it says otherwise."
    )
    parser.add_argument("--until", metavar="ISO", help="Made before this time.")
    parser.add_argument("--limit", metavar="N", help="The oldest N that match.")
    parser.add_argument("--rate", metavar="N", help="New deliveries per second, at the most.")
    parser.add_argument(
        "--key", metavar="TEXT", help="The same key again goes on with, or reports, the first replay."
    )
    parser.add_argument("--include-delivered", action="store_true", help="Also what has arrived since.")
    parser.add_argument("--new-ids", action="store_true", help="Each copy has a webhook-id of its own.")
    parser.add_argument("--dry-run", action="store_true", help="Only say what would be replayed.")
    parser.add_argument("--resume", metavar="REPLAY_ID", help="Go on with a replay; takes no other option.")


def new_replay(options: dict[str, Any]) -> NewReplay:
    """The replay that the options ask for."""
    if not any(options[name] for name in FILTERS):
        names = ", ".join(f"--{name.replace('_', '-')}" for name in FILTERS)
        raise CommandError(f"at least one filter is needed: {names}")
    organization = parse(options, "organization", parse_organization)
    since, until = parse(options, "since", parse_time), parse(options, "until", parse_time)
    if since is not None and until is not None and since >= until:
        raise CommandError("--until must be later than --since")
    given = {
        "delivery_ids": parse(options, "id", parse_ids),
        "run_id": options["run"],
        "subscription_id": parse(options, "subscription", parse_subscription),
        "event_types": parse(options, "event_type", parse_event_types),
        "states": parse(options, "state", lambda texts: one_of(texts, ENDED)),
        "answers": parse(options, "answer", lambda texts: one_of(texts, ANSWERS)),
        "since": since,
        "until": until,
    }
    return NewReplay(
        organization=organization,
        filter=ReplayFilter(**{name: value for name, value in given.items() if value}),
        include_delivered=options["include_delivered"],
        new_ids=options["new_ids"],
        limit=parse(options, "limit", parse_limit),
        rate_per_second=parse(options, "rate", parse_rate),
        replay_key=parse(options, "key", parse_key),
    )


def replay_to_resume(options: dict[str, Any]) -> Replay:
    if any(options[name] for name in (*FILTERS, *HOW)):
        raise CommandError("--resume: what to replay and how is known; take the other options away")
    try:
        replay = Replay.objects.filter(pk=UUID(options["resume"])).first()
    except ValueError:
        replay = None
    if replay is None:
        raise CommandError(f"--resume: no replay {options['resume']!r}")
    return replay


def parse(options: dict[str, Any], name: str, how: Callable[[Any], Parsed]) -> Parsed | None:
    """None where the option is not given; else its value, or CommandError with its name in front."""
    # An empty --limit, --rate or --key is a mistake; an empty filter is none.
    if options[name] is None or (name in FILTERS and not options[name]):
        return None
    try:
        return how(options[name])
    except ValueError as error:
        raise CommandError(f"--{name.replace('_', '-')}: {error}") from None


def parse_ids(texts: list[str]) -> tuple[UUID, ...]:
    try:
        ids = tuple(UUID(text) for text in texts)
    except ValueError:
        raise ValueError(f"not all of {', '.join(texts)} are UUIDs") from None
    known = set(Delivery.objects.filter(id__in=ids).values_list("id", flat=True))
    unknown = [str(id_) for id_ in ids if id_ not in known]
    if unknown:
        raise ValueError(f"no delivery {', '.join(unknown)}")
    return ids


def one_of(texts: list[str], known: Any) -> tuple[str, ...]:
    unknown = [text for text in texts if text not in known]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not one of {', '.join(sorted(known))}")
    return tuple(texts)


def parse_subscription(text: str) -> int:
    number = whole_number(text)
    if number is None or not Subscription.objects.filter(pk=number).exists():
        raise ValueError(f"no subscription {text!r}")
    return number


def parse_event_types(texts: list[str]) -> tuple[str, ...]:
    for text in texts:
        if text not in CATALOGUE and not is_custom_name(text):
            raise ValueError(f"{text!r} is neither a custom name nor one of {', '.join(CATALOGUE)}")
    return tuple(texts)


def parse_organization(text: str) -> Organization:
    organization = Organization.objects.filter(Q(public_id=text) | Q(name=text)).order_by("id").first()
    if organization is None:
        raise ValueError(f"no organization {text!r}")
    return organization


def parse_time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time such as 2026-01-31T08:00:00Z") from None
    if moment.year < FIRST_YEAR:
        raise ValueError(f"nothing is older than {FIRST_YEAR}")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_limit(text: str) -> int:
    number = whole_number(text)
    if not number:
        raise ValueError(f"{text!r} is not a whole number of at least 1")
    return number


def parse_rate(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None


def parse_key(text: str) -> str:
    if not 0 < len(text) <= REPLAY_KEY_MAX_CHARACTERS:
        raise ValueError(f"1 to {REPLAY_KEY_MAX_CHARACTERS} characters")
    return text


def whole_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
