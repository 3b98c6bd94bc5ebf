"""Mails to an organization's address: kept with what they tell of, sent by a worker until one is taken.

A mail goes out at least once: a crash between the mail server's answer and our note sends it again.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence

from django.conf import settings
from django.core.mail import send_mail
from django.db import connection
from django.utils import timezone

from subscriptions.masks import forms_of, without
from subscriptions.models import Notice, Organization

logger = logging.getLogger(__name__)

ADDRESSES_AT_ONCE = 20
# What waits for one address goes as one mail: a host that is down fails all subscriptions to it at once.
NOTICES_AT_ONCE = 500
# 1, 2, 4, … minutes, at most 4 hours between tries: 30 of them last about four days.
FIRST_PAUSE_SECONDS = 60
DOUBLINGS_MAX = 8
TRIES_MAX = 30

# A taken notice is put off before it is sent, so nobody else sends it meanwhile and no transaction is
# open while the mail server is asked.
TAKE = """
UPDATE subscriptions_notice
SET tries = tries + 1,
    next_try_at = now() + interval '1 second' * (%(pause)s * 2 ^ least(tries, %(doublings)s))
WHERE id IN (
    SELECT id FROM subscriptions_notice
    WHERE next_try_at <= now() AND tries < %(tries)s AND (organization_id, address) IN (
        SELECT organization_id, address FROM subscriptions_notice
        WHERE next_try_at <= now() AND tries < %(tries)s
        GROUP BY 1, 2 ORDER BY min(next_try_at) LIMIT %(addresses)s)
    ORDER BY next_try_at LIMIT %(notices)s FOR UPDATE SKIP LOCKED
)
RETURNING id
"""


def add(organization: Organization, *, subject: str, text: str) -> None:
    """To be sent when the caller's transaction commits. Nothing where the organization has no address."""
    if organization.contact_email:
        Notice.objects.create(
            organization=organization,
            address=organization.contact_email,
            subject=subject.replace("\n", " ").replace("\r", " ")[:200],
            text=text,
        )


def can_send() -> bool:
    """Is a mail server configured? Without one the notices wait and the admin shows them."""
    return bool(settings.EMAIL_HOST)


def send_due() -> int:
    """Send what is due; returns how many mails the mail server took."""
    if not can_send():
        return 0
    parameters = {
        "pause": FIRST_PAUSE_SECONDS,
        "doublings": DOUBLINGS_MAX,
        "tries": TRIES_MAX,
        "addresses": ADDRESSES_AT_ONCE,
        "notices": NOTICES_AT_ONCE,
    }
    with connection.cursor() as cursor:
        cursor.execute(TAKE, parameters)
        taken = [id_ for (id_,) in cursor.fetchall()]
    mails: dict[tuple[int, str], list[Notice]] = defaultdict(list)
    for notice in Notice.objects.filter(pk__in=taken).order_by("pk"):
        mails[notice.organization_id, notice.address].append(notice)
    return sum(_send(address, of_one) for (_, address), of_one in mails.items())


def _send(address: str, of_one: Sequence[Notice]) -> bool:
    rows = Notice.objects.filter(pk__in=[notice.pk for notice in of_one])
    try:
        send_mail(*_mail(of_one), None, [address])
    # smtplib's errors are OSErrors; a ValueError says that mail has no form for such an address.
    except (OSError, ValueError) as error:
        # A mail server may repeat what it was told, log-in included.
        reason = without(str(error), forms_of([settings.EMAIL_HOST_PASSWORD]))
        logger.warning("mail not taken notices=%d first=%s error=%s", len(of_one), of_one[0].pk, reason)
        rows.update(error=reason[:200])
        return False
    rows.update(sent_at=timezone.now(), next_try_at=None, error="")
    return True


def _mail(of_one: Sequence[Notice]) -> tuple[str, str]:
    """Subject and text."""
    if len(of_one) == 1:
        return of_one[0].subject, of_one[0].text
    subject = f"{of_one[0].subject}, and {len(of_one) - 1} more"
    return subject, "\n\n".join(f"{notice.subject}\n\n{notice.text}" for notice in of_one)
