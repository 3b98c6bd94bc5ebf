"""Skyvern's webhooks on the wire: signature, hard content, and which answers are tried again."""

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from delivery.models import Attempt, Delivery
from subscriptions import services
from subscriptions.models import ApiKey, Organization
from tests.factories import answer, body_of
from tests.integration.dialects.conftest import Deliver, report
from tests.integration.dialects.test_skyvern import Caller, caller_of
from tests.integration.test_sender import closed_port
from tests.receiver import Received, Receiver

MakeAttempt = Callable[..., Any]


@pytest.fixture
def caller(organization: Organization) -> Caller:
    return caller_of(organization)


def validate_skyvern_request_headers(request: Received, skyvern_api_key: str) -> bool:
    """The seed's verifier. Mended: it compares in constant time, bears a missing header, awaits nothing."""
    header_skyvern_signature = request.headers.get("x-skyvern-signature", "")
    payload = request.body  # this is a bytes
    hash_obj = hmac.new(skyvern_api_key.encode("utf-8"), msg=payload, digestmod=hashlib.sha256)
    client_generated_signature = hash_obj.hexdigest()
    return hmac.compare_digest(header_skyvern_signature.encode(), client_generated_signature.encode())


def ended_task(caller: Caller, url: str, output: Any = None) -> str:
    run_id: str = caller.run_task(webhook_url=url)["run_id"]
    report(caller.api, run_id, "start")
    # Written by hand: the test client cannot send a lone surrogate.
    path, text = f"/v1/runs/{run_id}/complete", json.dumps({"output": output})
    answer(caller.api.post(path, text, content_type="application/json"))
    return run_id


def test_the_seeds_verifier_accepts_what_comes_and_nothing_else(
    caller: Caller, receiver: Receiver, deliver: Deliver
) -> None:
    ended_task(caller, receiver.url(), {"price": 3.0})

    (request,) = deliver()
    assert validate_skyvern_request_headers(request, caller.key)
    assert not validate_skyvern_request_headers(request, caller.key + "x")
    assert request.headers["x-skyvern-timestamp"].isdigit()
    assert request.headers["Content-Type"] == "application/json"
    for forged in (None, "0" * 64, "é", ""):
        del request.headers["x-skyvern-signature"]
        if forged is not None:
            request.headers["x-skyvern-signature"] = forged
        assert not validate_skyvern_request_headers(request, caller.key)


HARD = {
    "emoji": "😀",
    "right to left": "שלום",
    "separator": "\u2028",
    "nul": "\x00",
    "whole": [3.0, -0.0, 1e20, {"deep": 7.0}],
    "large": 2**53 + 1,
    "café": 0.5,
}


@pytest.mark.parametrize("output", [HARD, HARD | {"lone": "\ud800"}], ids=["utf-8", "lone surrogate"])
def test_what_is_signed_is_what_is_sent_is_what_is_stored(
    output: Any, caller: Caller, receiver: Receiver, deliver: Deliver
) -> None:
    run_id = ended_task(caller, receiver.url(), output)

    (request,) = deliver()
    assert request.body == body_of(Delivery.objects.get())
    assert validate_skyvern_request_headers(request, caller.key)
    assert b'"whole":[3,0,100000000000000000000,{"deep":7}],"large":9007199254740993,' in request.body
    assert json.loads(request.body)["output"] == output
    assert caller.api.get(f"/skyvern/v1/runs/{run_id}").content.startswith(request.body[:-1])


def test_without_the_key_that_signs_nothing_goes_out_and_the_log_says_why(
    caller: Caller, receiver: Receiver, deliver: Deliver
) -> None:
    ended_task(caller, receiver.url())
    services.api_key_revoke(ApiKey.objects.get(signs=True))

    requests = deliver()

    delivery = Delivery.objects.get()
    assert requests == []
    assert (delivery.state, delivery.reason) == ("cancelled", "signing_key_revoked")
    assert "revoked" in delivery.attempt_log.get().error_message


def test_a_key_that_expired_since_still_signs_what_it_started(
    caller: Caller, receiver: Receiver, deliver: Deliver
) -> None:
    ended_task(caller, receiver.url())
    ApiKey.objects.filter(signs=True).update(expires_at=Now() - timedelta(seconds=1))

    (request,) = deliver()

    assert validate_skyvern_request_headers(request, caller.key)


def all_attempts(make: MakeAttempt) -> Delivery:
    """Every attempt that the schedule has, as if its waits were over."""
    delivery = Delivery.objects.get()
    while delivery.finished_at is None:
        Delivery.objects.filter(pk=delivery.pk).update(next_attempt_at=Now() - timedelta(seconds=1))
        make(delivery, delivery.attempts + 1)
        delivery.refresh_from_db()
    return delivery


@pytest.mark.parametrize("status", [403, 408, 425, 429, 500, 503, 599])
def test_these_answers_are_tried_three_times(
    status: int, caller: Caller, receiver: Receiver, attempt: MakeAttempt
) -> None:
    receiver.reply(status)
    run_id = ended_task(caller, receiver.url())

    delivery = all_attempts(attempt)

    assert (delivery.state, delivery.reason) == ("exhausted", "schedule_used_up")
    codes = list(Attempt.objects.order_by("id").values_list("number", "status_code"))
    assert codes == [(1, status), (2, status), (3, status)]
    assert len({request.body for request in receiver.at()}) == 1
    # A failed delivery never changes the run.
    assert caller.get(run_id)["status"] == "completed"


@pytest.mark.parametrize("status", [301, 400, 401, 404, 409, 410, 422])
def test_any_other_answer_ends_it_at_once(
    status: int, caller: Caller, receiver: Receiver, attempt: MakeAttempt
) -> None:
    receiver.reply(status)
    ended_task(caller, receiver.url())

    delivery = all_attempts(attempt)

    assert (delivery.state, delivery.attempts, len(receiver.at())) == ("exhausted", 1, 1)


def test_no_answer_is_tried_three_times_after_one_and_two_seconds(
    caller: Caller, attempt: MakeAttempt
) -> None:
    ended_task(caller, f"http://127.0.0.1:{closed_port()}/")

    delivery = all_attempts(attempt)

    rows = list(Attempt.objects.order_by("id"))
    waits = [(row.next_retry_at - row.created_at).total_seconds() for row in rows if row.next_retry_at]
    assert (delivery.state, len(rows)) == ("exhausted", 3)
    assert [1 <= waits[0] <= 2.1, 2 <= waits[1] <= 3.1] == [True, True]


def test_the_callback_has_thirty_seconds(caller: Caller, receiver: Receiver) -> None:
    ended_task(caller, receiver.url())

    callback = Delivery.objects.get().callback or {}
    assert (callback["timeout_seconds"], callback["retry_policy"]) == (30.0, "skyvern")
