"""The first key of an organization, for scripts: `key=$(manage.py create_api_key --organization Acme)`."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db import transaction

from subscriptions import services
from subscriptions.management.audited import AuditedCommand
from subscriptions.management.files import text_of
from subscriptions.models import DEFAULT_SCOPES, Organization, Scope
from webhooks_project.errors import DomainError


class Command(AuditedCommand):
    help = "Print a new API key of an organization, which is created if it is missing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--organization", required=True, metavar="NAME")
        parser.add_argument(
            "--scopes",
            metavar="A,B|all",
            help=f"Of {', '.join(Scope.values)}. Default: {','.join(DEFAULT_SCOPES)}",
        )
        parser.add_argument("--signs", action="store_true", help="Webhooks can be signed with the key.")
        parser.add_argument("--name", default="", metavar="LABEL", help="Shown in lists.")
        parser.add_argument(
            "--key-file",
            metavar="FILE",
            help="Take the key that stands there (-: standard input), which callers have already.",
        )
        parser.add_argument("--email", default="", metavar="ADDRESS", help="Contact of a new organization.")

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        scopes = parse_scopes(options["scopes"])
        name = options["organization"].strip()
        organization = Organization.objects.filter(name=name).first()
        if organization is None:
            organization = self._create(name, options["email"])
        elif options["email"] not in ("", organization.contact_email):
            raise CommandError("--email: the organization exists and has another contact address")
        if len(options["name"]) > 255:
            raise CommandError("--name: at most 255 characters")
        brought = None if options["key_file"] is None else text_of(options["key_file"]).strip()
        try:
            made, key = services.api_key_create(
                organization=organization,
                name=options["name"],
                scopes=scopes,
                signs=options["signs"],
                brought=brought,
            )
        except DomainError as error:
            raise CommandError(f"--key-file: {error.detail}") from None
        if brought is None:
            self.stdout.write(key)
        else:
            self._tell(f"the key is called {made.prefix} here")

    def _create(self, name: str, email: str) -> Organization:
        try:
            Organization(name=name, contact_email=email).full_clean()
        except ValidationError as error:
            option = "--email" if "contact_email" in error.message_dict else "--organization"
            raise CommandError(f"{option}: {' '.join(error.messages)}") from None
        organization, secret = services.organization_create(name=name, contact_email=email)
        self._tell(f"created organization {organization.public_id}")
        self._tell(f"its signing secret, shown this once: {secret}")
        return organization

    def _tell(self, text: str) -> None:
        """Beside the key, which is all that scripts read; not in the colour of errors."""
        self.stderr.write(text, style_func=str)


def parse_scopes(text: str | None) -> list[str]:
    if text is None:
        return list(DEFAULT_SCOPES)
    if text == "all":
        return list(Scope.values)
    scopes = [scope.strip() for scope in text.split(",") if scope.strip()]
    unknown = [scope for scope in scopes if scope not in Scope.values]
    if unknown or not scopes:
        named = f"unknown {', '.join(unknown)}" if unknown else "none named"
        raise CommandError(f"--scopes: {named}; there are {', '.join(Scope.values)}, or all")
    return scopes
