"""The demo's verdict: it may only be pleased if all of it is true."""

import json
from typing import Any

import pytest

from demo.report import Account, judge

GOLDEN = {"rnp_1": {"id": "rnp_1", "status": "completed"}}


def delivery(path: str, attempts: int = 1, state: str = "delivered") -> dict[str, Any]:
    return {
        "id": path,
        "url": f"http://receiver{path}",
        "webhook_id": "evt_1",
        "attempts": attempts,
        "state": state,
        "reason": "",
    }


def request(
    path: str, status: int = 204, verified: bool = True, body: Any = GOLDEN["rnp_1"]
) -> dict[str, Any]:
    text = json.dumps(body)
    return {"path": path, "webhook_id": "evt_1", "status": status, "verified": verified, "body": text}


def told(*deliveries: dict[str, Any]) -> Account:
    return Account({"run": [{"deliveries": list(deliveries)}]})


GOOD_DELIVERIES = (delivery("/callback-leap"), delivery("/flaky", attempts=3))
GOOD_RECORD = (
    request("/callback-leap"),
    request("/flaky", status=503),
    request("/flaky", status=503),
    request("/flaky"),
)


def test_what_happened_as_told_is_a_success() -> None:
    verdict = judge(told(*GOOD_DELIVERIES), GOOD_RECORD, GOLDEN)

    assert verdict.problems == ()
    assert (verdict.deliveries, verdict.verified, verdict.retried, verdict.lost) == (2, 2, 1, 0)


@pytest.mark.parametrize(
    ("deliveries", "record", "problem"),
    [
        (GOOD_DELIVERIES, GOOD_RECORD[:3], "lost"),
        (GOOD_DELIVERIES, (*GOOD_RECORD, request("/flaky", 401, verified=False)), "bad signature"),
        ((GOOD_DELIVERIES[0], delivery("/flaky", 3, "exhausted")), GOOD_RECORD, "exhausted"),
        (GOOD_DELIVERIES, (*GOOD_RECORD, request("/flaky")), "on record"),
        ((GOOD_DELIVERIES[0], delivery("/flaky", 1)), (GOOD_RECORD[0], GOOD_RECORD[3]), "three attempts"),
        (GOOD_DELIVERIES, (request("/callback-leap", body={"id": "rnp_1"}), *GOOD_RECORD[1:]), "differs"),
    ],
    ids=["lost", "forged", "not delivered", "a request nobody knows of", "no retries", "another body"],
)
def test_whatever_is_not_as_it_should_be_is_named(
    deliveries: tuple[dict[str, Any], ...], record: tuple[dict[str, Any], ...], problem: str
) -> None:
    verdict = judge(told(*deliveries), record, GOLDEN)

    assert any(problem in text for text in verdict.problems), verdict.problems
