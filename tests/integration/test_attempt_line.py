"""What the log says of an attempt, for people and for machines; docs/operations.md has each field."""

import json
import logging
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from django.utils import timezone

from delivery import attempt_line
from delivery.attempt_line import AttemptLine
from delivery.models import Attempt, Delivery
from delivery.phases import Phases
from local.files import CHECKOUT
from subscriptions.models import Organization, Subscription
from tests.integration.attempts import Attempt as Attempting
from tests.integration.test_admin import happen
from tests.receiver import Receiver
from webhooks_project.logs import JsonLines

Said = Callable[[], logging.LogRecord]


@pytest.fixture
def delivery(organization: Organization, subscribe: Callable[..., Subscription]) -> Delivery:
    subscribe()
    happen(organization)
    return Delivery.objects.get()


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[Said]:
    """The one line that the block has logged of an attempt."""

    def one() -> logging.LogRecord:
        (record,) = [record for record in caplog.records if record.name == "delivery.deliver"]
        return record

    attempt_line.name_worker("worker@there")
    with caplog.at_level(logging.INFO, "delivery.deliver"):
        yield one
    attempt_line.name_worker("")


def as_json(record: logging.LogRecord) -> dict[str, Any]:
    line = JsonLines().format(record)
    assert "\n" not in line
    fields: dict[str, Any] = json.loads(line)
    return fields


def test_an_attempt_that_failed_is_one_wide_line(
    delivery: Delivery, receiver: Receiver, attempt: Attempting, said: Said
) -> None:
    receiver.reply(503)
    attempt(delivery)

    fields = as_json(said())

    kept = Attempt.objects.get()
    assert (fields["message"], fields["level"], fields["logger"]) == ("attempt", "INFO", "delivery.deliver")
    assert fields["delivery"] == str(delivery.pk)
    assert (fields["event"], fields["type"]) == (kept.event_id, kept.event_type)
    assert (fields["organization"], fields["subscription"]) == (
        delivery.organization_id,
        delivery.subscription_id,
    )
    assert (fields["attempt"], fields["lane"], fields["test"]) == (1, "first", False)
    assert fields["receiver"] == f"http://127.0.0.1:{receiver.port}"
    assert (fields["state"], fields["answer"], fields["status"]) == ("waiting", "5xx", 503)
    assert (fields["error"], fields["recorded"]) == ("http_status", True)
    assert fields["phases_ms"]["wait"] > 0
    assert fields["bytes"] == len(receiver.requests[0].body)
    assert fields["worker"] == "worker@there"
    due = datetime.fromisoformat(fields["retry_at"])
    assert 0 < (due - timezone.now()).total_seconds() <= fields["retry_in"] + 0.1


def test_the_line_for_people_has_the_same_fields(
    delivery: Delivery, receiver: Receiver, attempt: Attempting, said: Said
) -> None:
    receiver.reply(503)
    attempt(delivery)

    facts = dict(part.split("=", 1) for part in said().getMessage().removeprefix("attempt ").split(" "))

    fields = as_json(said())
    assert set(facts) == set(fields) - {"message", "time", "level", "logger"}
    assert facts["phases_ms"] == str(Phases(*Attempt.objects.get().phases or ()))
    assert (facts["answer"], facts["status"], facts["attempt"]) == ("5xx", "503", "1")


def test_what_does_not_apply_to_an_accepted_attempt_is_null(
    delivery: Delivery, attempt: Attempting, said: Said
) -> None:
    attempt(delivery)

    fields = as_json(said())

    assert (fields["state"], fields["answer"]) == ("delivered", "2xx")
    assert [fields[name] for name in ("error", "retry_in", "retry_at")] == [None, None, None]


def test_each_field_is_documented(delivery: Delivery, attempt: Attempting, said: Said) -> None:
    attempt(delivery)

    section = (CHECKOUT / "docs" / "operations.md").read_text().split("## The log\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert set(as_json(said())) - {"time", "level", "logger"} == documented


def test_where_the_level_is_higher_nothing_is_put_together(
    delivery: Delivery, attempt: Attempting, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_: AttemptLine) -> dict[str, Any]:
        raise AssertionError("the line was put together")

    monkeypatch.setattr(AttemptLine, "_values", never)
    with caplog.at_level(logging.WARNING, "delivery.deliver"):
        attempt(delivery)

    assert caplog.records == []
    assert Attempt.objects.get().success
