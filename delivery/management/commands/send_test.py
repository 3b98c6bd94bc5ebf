"""A test event and its answer: to a subscription by the workers, or to any URL from this process."""

import time
from argparse import ArgumentParser
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.management.base import CommandError
from django.utils import timezone

from delivery import formats, services, signing
from delivery.management.replay_options import parse_subscription
from delivery.models import Attempt
from delivery.sender.result import Answer, OutgoingRequest
from delivery.worker import new_transport
from subscriptions import keys
from subscriptions.event_types import WORKFLOW_COMPLETED, PayloadFormat, SignatureScheme
from subscriptions.management.audited import AuditedCommand
from subscriptions.models import Subscription
from webhooks_project.errors import DomainError

BODY_SHOWN_CHARACTERS = 500
SOURCE = "wf_test"


class Command(AuditedCommand):
    help = "Send a made-up workflow.completed to a subscription or a URL, and print the answer."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("subscription", nargs="?", metavar="ID", help="A subscription, active or not.")
        parser.add_argument("--url", help="Instead: any URL that webhooks may go to.")
        parser.add_argument("--format", choices=[str(name) for name in PayloadFormat], help="Of the body.")
        schemes = [str(name) for name in SignatureScheme]
        parser.add_argument("--scheme", choices=schemes, nargs="+", help="How it is signed.")
        parser.add_argument(
            "--secret", metavar="KEY", help="whsec_…, whsk_…, a text or an API key, as the schemes need it."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        for_url = [name for name in ("format", "scheme", "secret") if options[name]]
        if (options["subscription"] is None) == (options["url"] is None):
            raise CommandError("name either a subscription's id or --url")
        if options["url"] is not None:
            self._send_to_url(options)
        elif for_url:
            raise CommandError(f"--{for_url[0]}: a subscription has its own; it goes with --url only")
        else:
            self._send_to_subscription(options)

    def _send_to_subscription(self, options: dict[str, Any]) -> None:
        try:
            id_ = parse_subscription(options["subscription"])
        except ValueError as error:
            raise CommandError(str(error)) from None
        subscription = Subscription.objects.select_related("organization").get(pk=id_)
        try:
            delivery = services.send_test(
                organization=subscription.organization, subscription_id=subscription.pk
            )
        except DomainError as error:
            raise CommandError(error.detail) from None
        self.stdout.write(f"{WORKFLOW_COMPLETED} to {subscription.url}, delivery {delivery.id}")
        seconds = services.test_wait_seconds(subscription)
        attempt = services.wait_for_attempt(delivery, seconds=seconds)
        if attempt is None:
            raise CommandError(f"no worker has sent it within {seconds:g} s: `manage.py doctor` says why")
        self._tell(attempt)

    def _tell(self, attempt: Attempt) -> None:
        took = "" if attempt.duration_ms is None else f" after {attempt.duration_ms:.0f} ms"
        if attempt.status_code is None:
            raise CommandError(f"no answer{took}: {attempt.error_message}")
        self._answered(attempt.status_code, took, attempt.response_body or "", ok=attempt.success)

    def _answered(self, status: int, took: str, body: str, *, ok: bool) -> None:
        style = self.style.SUCCESS if ok else self.style.ERROR
        self.stdout.write(style(f"answered {status}{took}"))
        if body:
            self.stdout.write(body[:BODY_SHOWN_CHARACTERS])
        if not ok:
            raise SystemExit(1)

    def _send_to_url(self, options: dict[str, Any]) -> None:
        """Without a delivery: nothing of it is on record."""
        webhook_id = f"evt_{uuid4().hex}"
        body = formats.render(options["format"] or PayloadFormat.ELAN_EVENT, _message(webhook_id))
        schemes = options["scheme"] or [SignatureScheme.NONE]
        signable = signing.Signable(webhook_id=webhook_id, timestamp=int(time.time()), body=body)
        headers = signing.headers_for(schemes, signable, _keys(schemes, options["secret"]))
        request = OutgoingRequest(
            url=options["url"],
            headers={
                "Content-Type": "application/json",
                "User-Agent": f"Runhooks/{settings.VERSION}",
                **headers,
            },
            body=body,
            timeout_seconds=settings.DELIVERY_TIMEOUT_DEFAULT_SECONDS,
            organization_id=0,
        )
        self.stdout.write(f"{webhook_id}, {len(body)} bytes")
        transport = new_transport()
        try:
            result = transport.send(request)
        finally:
            transport.close()
        if not isinstance(result, Answer):
            detail = f" ({result.staff_detail})" if result.staff_detail else ""
            raise CommandError(f"no answer: {result.message}{detail}")
        self._answered(
            result.status_code, f" after {result.duration_ms:.0f} ms", result.body, ok=result.accepted
        )


def _message(event_id: str) -> formats.Message:
    data, detail = formats.example(SOURCE)
    return formats.Message(
        event_id=event_id,
        event_type=WORKFLOW_COMPLETED,
        organization_id="org_test",
        source=SOURCE,
        subject=str(data["run_id"]),
        occurred_at=timezone.now(),
        data=data,
        detail=detail,
    )


def _keys(schemes: list[str], secret: str | None) -> signing.Keys:
    """The secret where the schemes look for theirs; a scheme that cannot sign with it is refused."""
    given = [] if secret is None else [secret]
    found = signing.Keys(standard=given, ed25519=given, text=given, api_key=secret)
    for scheme in schemes:
        if scheme == SignatureScheme.NONE:
            continue
        if secret is None:
            raise CommandError(f"--secret: {scheme} signs with one")
        if scheme == SignatureScheme.STANDARD_WEBHOOKS and keys.standard_key(secret) is None:
            raise CommandError(f"--secret: {scheme} takes {keys.STANDARD_PREFIX}…, 24 to 64 bytes in base64")
        if scheme == SignatureScheme.STANDARD_WEBHOOKS_ED25519 and keys.private_key(secret) is None:
            raise CommandError(f"--secret: {scheme} takes a private key {keys.PRIVATE_PREFIX}…")
    return found
