"""Mails to an organization's address: kept with what they tell of, sent by a worker until one is taken.

A mail goes out at least once: a crash between the mail server's answer and our note sends it again.
"""

import logging

from django.conf import settings
from django.core.mail import send_mail
from django.db import connection
from django.utils import timezone

from subscriptions.masks import forms_of, without
from subscriptions.models import Notice, Organization

logger = logging.getLogger(__name__)

AT_ONCE = 20
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
    SELECT id FROM subscriptions_notice WHERE next_try_at <= now() AND tries < %(tries)s
    ORDER BY next_try_at LIMIT %(rows)s FOR UPDATE SKIP LOCKED
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
    """Send what is due; returns how many the mail server took."""
    if not can_send():
        return 0
    parameters = {
        "pause": FIRST_PAUSE_SECONDS,
        "doublings": DOUBLINGS_MAX,
        "tries": TRIES_MAX,
        "rows": AT_ONCE,
    }
    with connection.cursor() as cursor:
        cursor.execute(TAKE, parameters)
        taken = [id_ for (id_,) in cursor.fetchall()]
    return sum(_send(notice) for notice in Notice.objects.filter(pk__in=taken).order_by("pk"))


def _send(notice: Notice) -> bool:
    try:
        send_mail(notice.subject, notice.text, None, [notice.address])
    # smtplib's errors are OSErrors; a ValueError says that mail has no form for such an address.
    except (OSError, ValueError) as error:
        # A mail server may repeat what it was told, log-in included.
        reason = without(str(error), forms_of([settings.EMAIL_HOST_PASSWORD]))
        logger.warning("mail not taken notice=%s error=%s", notice.pk, reason)
        Notice.objects.filter(pk=notice.pk).update(error=reason[:200])
        return False
    Notice.objects.filter(pk=notice.pk).update(sent_at=timezone.now(), next_try_at=None, error="")
    return True
