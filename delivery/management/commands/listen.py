"""A receiver on this machine: verifies what comes in, shows it, answers as it is told to, hands it on."""

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError, connections

from delivery.listener.forwarding import forward_to
from delivery.listener.kept_keys import keys_in_force
from delivery.listener.server import Listener, Script
from delivery.listener.shown import Shown, as_json, details, headline
from delivery.listener.verifying import Keys, keys_of
from delivery.management.long import INTERRUPTED
from delivery.management.replay_options import parse, parse_organization, parse_subscription

DEFAULT_PORT = 9000
DELAY_MAX_SECONDS = 3600


class Command(BaseCommand):
    help = "Receive webhooks on this machine: verify, show and answer them, until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("port", nargs="?", type=_port, default=DEFAULT_PORT, help="Default: 9000.")
        parser.add_argument(
            "--host", type=_address, default="127.0.0.1", help="Only this machine unless another is named."
        )
        # One each, for what follows may be the port.
        parser.add_argument(
            "--secret",
            type=_secret,
            action="append",
            metavar="KEY",
            help="whsec_…, whpk_…, a secret of your own or an API key; may be given again.",
        )
        parser.add_argument(
            "--subscription", action="append", metavar="ID", help="Its keys, kept here; may be given again."
        )
        parser.add_argument("--organization", metavar="NAME_OR_ID", help="All of its keys.")
        parser.add_argument(
            "--answer", type=_list_of(_status), default=[204], metavar="CODES", help="Such as 500,500,200."
        )
        parser.add_argument(
            "--delay", type=_list_of(_seconds), default=[0.0], metavar="SECONDS", help="Such as 2 or 5,0."
        )
        parser.add_argument(
            "--forward",
            type=_port,
            metavar="PORT",
            help="Hand on to this port here, and its answer back.",
        )
        parser.add_argument("--count", type=_positive, metavar="N", help="End after so many.")
        form = parser.add_mutually_exclusive_group()
        form.add_argument("--brief", action="store_true", help="A line for each, without its body.")
        form.add_argument("--json", action="store_true", help="A line of JSON for each.")

    def handle(self, *args: Any, **options: Any) -> None:
        keys, has_keys = _keys(options)
        script = Script(
            statuses=options["answer"],
            delays_seconds=options["delay"],
            forward=forward_to(options["forward"]) if options["forward"] else None,
        )
        tell = partial(self._tell, options)
        address = options["host"], options["port"]
        try:
            listener = Listener(address, keys=keys, script=script, tell=tell, most=options["count"])
        except OSError as error:
            raise CommandError(f"port {options['port']}: {error.strerror or error}") from None
        interrupted = False
        try:
            self._greet(f"http://{options['host']}:{listener.port}/", has_keys)
            listener.serve()
        except KeyboardInterrupt:
            interrupted = True
        if not listener.is_read:
            # What is left in the buffer would be one more complaint at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        self._sum_up(listener)
        if interrupted and options["count"]:
            raise SystemExit(INTERRUPTED)

    def _greet(self, url: str, has_keys: bool) -> None:
        # Plain: what goes to standard error is red otherwise.
        self.stderr.write(f"listening on {url} until Ctrl-C", str)
        if not has_keys:
            self.stderr.write(
                "signatures are not checked: name --secret, --subscription or --organization", str
            )

    def _tell(self, options: dict[str, Any], shown: Shown) -> None:
        if options["json"]:
            self.stdout.write(as_json(shown))
        else:
            what, signature, answered = headline(shown)
            self.stdout.write(f"{what}  {self._coloured(shown)(signature)}  {answered}")
            for line in [] if options["brief"] else details(shown):
                self.stdout.write(f"    {line}")
        self.stdout.flush()

    def _coloured(self, shown: Shown) -> Callable[[str], str]:
        if not shown.is_checked:
            return self.style.WARNING
        return self.style.SUCCESS if shown.is_genuine else self.style.ERROR

    def _sum_up(self, listener: Listener) -> None:
        tally = listener.tally
        plural = "webhook" if tally.webhooks == 1 else "webhooks"
        unchecked = tally.webhooks - tally.genuine - tally.bad
        parts = [
            f"{count} {what}"
            for count, what in (
                (tally.genuine, "genuine"),
                (tally.bad, "not genuine"),
                (unchecked, "not checked"),
                (tally.repeated, "repeated"),
            )
            if count
        ]
        self.stderr.write(f"{tally.webhooks} {plural}{': ' if parts else ''}{', '.join(parts)}", str)


def _keys(options: dict[str, Any]) -> tuple[Callable[[], Keys], bool]:
    """What gives the keys for a webhook, and whether any were named. Asked again each time: a subscription
    may be made, or its secret exchanged, while this listens."""
    given = options["secret"] or []
    organization = parse(options, "organization", parse_organization)
    ids = [
        id_
        for text in options["subscription"] or []
        if (id_ := parse({"subscription": text}, "subscription", parse_subscription)) is not None
    ]
    try:
        fixed = keys_of(given)
    except ValueError as error:
        raise CommandError(f"--secret: {error}") from None
    if organization is None and not ids:
        return lambda: fixed, bool(given)

    last = fixed

    def read() -> Keys:
        nonlocal last
        try:
            last = keys_in_force(given, organization=organization, subscription_ids=ids)
        except (OperationalError, InterfaceError):
            # While the database is away those read last will do: a webhook is to be shown and answered.
            pass
        finally:
            # Each connection of a sender is a thread here.
            connections.close_all()
        return last

    # Now, so that there are some to fall back on.
    read()
    return read, True


def _list_of(item: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    def read(text: str) -> list[Any]:
        return [item(part.strip()) for part in text.split(",")]

    return read


def _number(text: str, least: int, most: int, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise ArgumentTypeError(f"{text!r} is not {what}")
    return int(text)


def _port(text: str) -> int:
    return _number(text, 0, 65535, "a port from 0 to 65535")


def _status(text: str) -> int:
    return _number(text, 200, 599, "a status from 200 to 599")


def _positive(text: str) -> int:
    return _number(text, 1, 999_999_999, "a whole number of at least 1")


def _secret(text: str) -> str:
    if not text:
        # It is a variable that was never set, and everything would seem forged.
        raise ArgumentTypeError("it is empty")
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= DELAY_MAX_SECONDS:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to {DELAY_MAX_SECONDS}")
    return seconds


def _address(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not an IPv4 address such as 127.0.0.1 or 0.0.0.0") from None
