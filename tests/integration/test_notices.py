"""Mails to organizations: sent once the cause is committed, kept until the mail server takes them."""

from datetime import timedelta
from smtplib import SMTPServerDisconnected
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import Settings

from subscriptions import notices
from subscriptions.models import Notice, Organization
from tests.factories import at_once


@pytest.fixture(autouse=True)
def mail_server(settings: Settings) -> None:
    settings.EMAIL_HOST = "mail.example"


@pytest.fixture
def notice(organization: Organization) -> Notice:
    notices.add(organization, subject="Two\r\nlines", text="Hello")
    return Notice.objects.get()


def test_it_is_sent_to_the_organizations_address_once(notice: Notice) -> None:
    assert [notices.send_due(), notices.send_due()] == [1, 0]

    (sent,) = mail.outbox
    assert (sent.to, sent.subject, sent.body) == (["ops@acme.example"], "Two  lines", "Hello")
    notice.refresh_from_db()
    assert notice.sent_at is not None


def test_what_waits_for_one_address_is_one_mail(
    organization: Organization, other_organization: Organization
) -> None:
    other_organization.contact_email = organization.contact_email
    for number in range(30):
        notices.add(organization, subject=f"Webhook {number} is failing", text=f"Text {number}.")
    notices.add(other_organization, subject="Of another", text="Hello")

    assert [notices.send_due(), notices.send_due()] == [2, 0]

    many, other = mail.outbox
    assert many.subject == "Webhook 0 is failing, and 29 more"
    assert "Webhook 29 is failing\n\nText 29." in many.body
    assert (other.subject, other.body) == ("Of another", "Hello")
    assert not Notice.objects.filter(sent_at=None).exists()


def test_an_organization_without_an_address_gets_none(other_organization: Organization) -> None:
    notices.add(other_organization, subject="x", text="x")

    assert not Notice.objects.exists()


def test_two_workers_at_once_send_it_once(notice: Notice) -> None:
    assert sorted(at_once(notices.send_due, notices.send_due)) == [0, 1]


def test_no_transaction_is_open_while_the_mail_server_is_asked(
    notice: Notice, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside: list[bool] = []
    monkeypatch.setattr(notices, "send_mail", lambda *_: inside.append(connection.in_atomic_block))

    notices.send_due()

    assert inside == [False]


def test_what_is_not_taken_is_tried_again_later_and_shows_why(
    notice: Notice, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise SMTPServerDisconnected("gone away")

    with monkeypatch.context() as broken:
        broken.setattr(notices, "send_mail", refuse)
        assert [notices.send_due(), notices.send_due()] == [0, 0]

    notice.refresh_from_db()
    assert (notice.tries, notice.error, notice.sent_at) == (1, "gone away", None)
    assert notice.next_try_at is not None
    assert timedelta(seconds=50) < notice.next_try_at - timezone.now() <= timedelta(seconds=60)
    Notice.objects.update(next_try_at=Now())
    assert notices.send_due() == 1


def test_an_address_that_no_mail_can_have_keeps_no_other_mail_waiting(
    organization: Organization, other_organization: Organization
) -> None:
    # Django takes it for valid; as a name of DNS it is too long.
    other_organization.contact_email = f"ops@{'ü' * 63}.example"
    other_organization.full_clean()
    for one in (other_organization, organization):
        notices.add(one, subject="x", text="x")

    assert notices.send_due() == 1

    refused = Notice.objects.get(organization=other_organization)
    assert refused.sent_at is None
    assert refused.error


def test_without_a_mail_server_it_waits(notice: Notice, settings: Settings) -> None:
    settings.EMAIL_HOST = ""

    assert notices.send_due() == 0
    notice.refresh_from_db()
    assert (notice.tries, notice.sent_at) == (0, None)
