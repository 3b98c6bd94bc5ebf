"""Subscriptions of another system with their secrets, so that their receivers notice nothing of a move.

A line is the body of POST /v1/webhooks. All lines are taken or none; what is there already stays as it is.
"""

import json
from argparse import ArgumentParser
from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction
from rest_framework.exceptions import ValidationError

from subscriptions import selectors, services
from subscriptions.api.base import valid
from subscriptions.api.serializers import SubscriptionInput
from subscriptions.event_types import SignatureScheme
from subscriptions.management.audited import AuditedCommand
from subscriptions.management.files import text_of
from subscriptions.models import Organization, Subscription
from subscriptions.secrets import readable_url
from webhooks_project.api_errors import validation_body
from webhooks_project.errors import InvalidInput

# More would hide the first ones.
ERRORS_SHOWN = 20
#: what makes a subscription the same one when the file is imported again
Identity = tuple[str, str]


class Refused(Exception):
    """A line cannot be taken; the text says why."""


class Command(AuditedCommand):
    help = "Create an organization's subscriptions from JSON lines, with the secrets that they have already."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file", metavar="FILE", help="Fields as in POST /v1/webhooks; - is standard input."
        )
        parser.add_argument("--organization", required=True, metavar="NAME")
        parser.add_argument("--dry-run", action="store_true", help="Say what would be created, and stop.")

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        organization = Organization.objects.filter(name=options["organization"].strip()).first()
        if organization is None:
            raise CommandError(
                "--organization: there is none of this name; manage.py create_api_key makes one"
            )
        importing = Import(organization)
        importing.take(text_of(options["file"]).split("\n"))
        if importing.errors:
            shown = importing.errors[:ERRORS_SHOWN]
            count = len(importing.errors)
            errors = f"{count} {'error' if count == 1 else 'errors'}; nothing was imported"
            raise CommandError("\n".join([*shown, errors]))
        if options["dry_run"]:
            transaction.set_rollback(True)
        else:
            for told in importing.told:
                self.stdout.write(json.dumps(told, ensure_ascii=False))
        verb = "would create" if options["dry_run"] else "created"
        summary = f"{verb} {len(importing.told)}, {importing.known} were there already"
        self.stderr.write(summary, style_func=str)  # it is no error


class Import:
    """What becomes of the lines of a file."""

    def __init__(self, organization: Organization) -> None:
        self._organization = organization
        self._there = {_identity(row) for row in selectors.of_organization(organization)}
        self._lines: dict[Identity, int] = {}
        #: of each that was created, what is shown this once
        self.told: list[dict[str, Any]] = []
        self.known = 0
        self.errors: list[str] = []

    def take(self, lines: Iterable[str]) -> None:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                self._take(number, line)
            except Refused as refused:
                self.errors.append(f"line {number}: {refused}")

    def _take(self, number: int, line: str) -> None:
        values = _values(line)
        identity = (values["name"], values["url"].strip())
        first = self._lines.setdefault(identity, number)
        if first != number:
            raise Refused(f"name and url are those of line {first}")
        if identity in self._there:
            self.known += 1
            return
        try:
            with transaction.atomic():
                made, secret = services.subscription_create(organization=self._organization, values=values)
        except InvalidInput as error:
            raise Refused(error.detail) from None
        self.told.append(_told(made, secret, brought=values.get("secret")))


def _values(line: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError as error:
        raise Refused(f"it is not JSON: {error}") from None
    try:
        return valid(SubscriptionInput, said)
    except ValidationError as error:
        told = validation_body(error.detail)
        raise Refused("; ".join(one["detail"] for one in told.get("errors", [told]))) from None


def _identity(subscription: Subscription) -> Identity:
    url = readable_url(subscription.url, subscription.encrypted_url)
    return subscription.name, subscription.url if url is None else url


def _told(made: Subscription, secret: str, *, brought: str | None) -> dict[str, Any]:
    """The new secret where none of Standard Webhooks' form was brought along: nobody can read it later."""
    told: dict[str, Any] = {"id": made.id, "name": made.name, "url": made.url}
    if secret != brought and SignatureScheme.STANDARD_WEBHOOKS in made.signature_schemes:
        told["signing_secret"] = secret
    return told
