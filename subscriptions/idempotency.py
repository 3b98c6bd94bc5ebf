"""Answers that are given again: what an `Idempotency-Key` is worth.

What a call does and its answer commit together, so a crash leaves both or neither, and the call can
be made again until it is answered. A lock that ends with the transaction, and so with its process
or connection, tells a second caller that the first is still at work.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, models, transaction
from django.db.models.functions import Now
from django.utils import timezone

from subscriptions import secrets
from webhooks_project.errors import Conflict, InvalidInput

HEADER = "Idempotency-Key"
FORGET_ROWS = 1_000


class RememberedAnswer(models.Model):
    """What a call with an `Idempotency-Key` was answered. Encrypted, for secrets are shown in answers."""

    # Of the caller, the path and its key (`Call.id`); nothing of them can be read here.
    id = models.CharField(primary_key=True, max_length=64, editable=False)
    organization = models.ForeignKey(
        "subscriptions.Organization", on_delete=models.CASCADE, related_name="+", db_index=False
    )
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    content_type = models.CharField(max_length=100)
    encrypted_body = models.TextField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [
            # forget_old()
            models.Index(fields=["created_at"], name="rememberedanswer_by_age")
        ]

    def __str__(self) -> str:
        return self.id[:12]


@dataclass(frozen=True, kw_only=True)
class Call:
    """What makes two calls the same one."""

    organization_id: int
    #: the API key, or the person, not to be told what another was answered
    caller: str
    path: str
    key: str
    #: of what is asked for there: it must be the same as well
    fingerprint: str

    @property
    def id(self) -> str:
        return digest(str(self.organization_id), self.caller, self.path, self.key)


@dataclass(frozen=True)
class Answer:
    """What goes out, byte by byte."""

    status: int
    content_type: str
    body: bytes


def digest(*parts: str) -> str:
    """SHA-256 of the parts; no two lists of them have the same."""
    found = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        found.update(b"%d:%b" % (len(data), data))
    return found.hexdigest()


def once(call: Call, carry_out: Callable[[], Answer]) -> tuple[Answer, bool]:
    """The call's answer, and whether it is that of an earlier one, for which nothing was done now.

    `carry_out` runs in this transaction; what it raises undoes all of it and is not remembered. Raises
    Conflict while another such call is at work, and InvalidInput if the key was used for something else.
    """
    with transaction.atomic():
        _lock(call)
        # After the lock, in a statement of its own: it sees what the one before has committed.
        known = RememberedAnswer.objects.filter(pk=call.id).first()
        if known is not None and known.created_at > _oldest():
            return _again(call, known), True
        answer = carry_out()
        if known is not None:
            known.delete()
        RememberedAnswer.objects.create(
            id=call.id,
            organization_id=call.organization_id,
            fingerprint=call.fingerprint,
            status=answer.status,
            content_type=answer.content_type,
            encrypted_body=secrets.encrypt(answer.body.decode()),
        )
    return answer, False


def forget_old() -> int:
    """Delete what is older than IDEMPOTENCY_KEY_RETENTION_HOURS, so many at a time; returns how many."""
    forgotten = 0
    while True:
        old = RememberedAnswer.objects.filter(created_at__lte=_oldest()).order_by("created_at")
        count, _ = RememberedAnswer.objects.filter(pk__in=old.values("pk")[:FORGET_ROWS]).delete()
        forgotten += count
        if count < FORGET_ROWS:
            return forgotten


def _lock(call: Call) -> None:
    number = int.from_bytes(bytes.fromhex(call.id)[:8], signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        ((is_ours,),) = cursor.fetchall()
    if not is_ours:
        raise Conflict(
            "the first call with this key is still at work",
            field=HEADER,
            code="idempotency_key_in_use",
            retry_after_seconds=1,
        )


def _again(call: Call, known: RememberedAnswer) -> Answer:
    if known.fingerprint != call.fingerprint:
        raise InvalidInput(
            "this key was used for a call with another body", field=HEADER, code="idempotency_key_reused"
        )
    return Answer(known.status, known.content_type, secrets.decrypt(known.encrypted_body).encode())


def _oldest() -> datetime:
    return timezone.now() - timedelta(hours=settings.IDEMPOTENCY_KEY_RETENTION_HOURS)
