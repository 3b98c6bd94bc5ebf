"""The chaos suite's judge, on cases made by hand: it must see what is wrong, and nothing else."""

from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.ledger import Verdict, judge
from tests.chaos.records import AttemptRow, EventRow, Evidence, Fault, Kind, Peer, Request, Told
from tests.unit.chaos_cases import LEASE, SECRET, START, attempt, delivery, failed, fault, request


def verdict(**changes: Any) -> Verdict:
    """The judgement on one delivery to one target; as it stands, all is well."""
    values: dict[str, Any] = {
        "told": [Told(key=("evt_1", "chaos.one"), paths=frozenset({"/one/0"}), recipients=1)],
        "events": [EventRow(event_id="evt_1", type="chaos.one", subject="", recipients=1)],
        "deliveries": [delivery()],
        "attempts": [attempt()],
        "requests": [request()],
        "secrets": {"/one/0": SECRET},
    }
    return judge(Evidence(**values | changes))


def texts(judged: Verdict) -> str:
    return " | ".join(problem.what for problem in judged.problems)


def test_a_delivery_that_both_sides_tell_the_same_of_is_no_problem() -> None:
    judged = verdict()

    assert judged.passed
    assert (judged.accepted, judged.states["delivered"], judged.lost, judged.duplicates) == (1, 1, 0, 0)


def test_retries_until_it_is_accepted_are_no_duplicates() -> None:
    judged = verdict(
        deliveries=[delivery(attempts=3, claim_number=3)],
        attempts=[failed(0, 1), failed(1, 2, None), attempt(2, number=3)],
        requests=[request(0, 500), request(1, None), request(2)],
    )

    assert judged.passed
    assert judged.duplicates == judged.unrecorded == 0


@pytest.mark.parametrize(("late_by", "passed"), [(-0.1, True), (0.1, True), (-1.0, False)])
def test_an_answer_that_crossed_with_the_end_of_its_senders_time_accepted_nothing(
    late_by: float, passed: bool
) -> None:
    gave_up = failed(0, 1, None, error_class="timeout")
    judged = verdict(
        deliveries=[delivery(attempts=2, claim_number=2)],
        attempts=[gave_up, attempt(2, number=2)],
        requests=[request(0, 202, ended=gave_up.recorded + late_by), request(2)],
    )

    assert judged.passed == passed
    assert judged.duplicates == (0 if passed else 1)


@pytest.mark.parametrize("state", ["pending", "waiting"])
def test_a_delivery_that_has_not_ended_is_lost(state: str) -> None:
    judged = verdict(deliveries=[delivery(state=state, attempts=0, claim_number=0)], attempts=[], requests=[])

    assert (judged.lost, judged.passed) == (1, False)


def test_a_delivery_called_delivered_that_nobody_accepted_is_lost() -> None:
    judged = verdict(requests=[])

    assert judged.lost == 1
    assert "the receiver saw no such request" in texts(judged)


def test_an_answer_that_was_not_fully_sent_accepts_nothing() -> None:
    judged = verdict(requests=[request(complete=False)])

    assert judged.lost == 1


def test_an_accepted_event_without_a_row_loses_all_its_deliveries() -> None:
    paths = frozenset({"/few/0", "/few/1", "/few/2"})
    judged = verdict(
        told=[Told(key=("evt_2", "chaos.few"), paths=paths)],
        events=[],
        deliveries=[],
        attempts=[],
        requests=[],
    )

    assert (judged.lost, judged.accepted) == (3, 3)
    assert "there is no event" in texts(judged)


def test_an_event_with_too_few_deliveries_loses_the_rest() -> None:
    judged = verdict(
        told=[Told(key=("evt_1", "chaos.one"), paths=frozenset({"/one/0", "/one/1"}), recipients=2)]
    )

    assert (judged.lost, judged.accepted) == (1, 2)


def test_an_event_told_once_must_be_there_once() -> None:
    rows = [
        EventRow(event_id=f"evt_{n}", type="workflow.started", subject="run_1", recipients=n % 2)
        for n in (1, 2)
    ]
    told = [Told(key=("run_1", "workflow.started"), paths=frozenset())]

    assert "told 1 times, there are 2" in texts(verdict(told=told, events=rows))
    assert verdict(told=told, events=rows, unanswered={("run_1", "workflow.started")}).passed


@pytest.mark.parametrize(
    ("attempts", "requests", "what"),
    [
        ([attempt()], [request(0, 500)], "attempt 1 has 204, the receiver answered 500"),
        ([attempt(), failed(1, 2)], [request(), request(1, 500)], "the row counts 1 attempts, 2 are"),
        ([attempt(number=2)], [request()], "not numbered"),
        ([failed(0, 1)], [request()], "attempt 1 has 500, the receiver answered 204"),
        (
            [failed(0, 1, None, recorded=START + 2)],
            [request()],
            "attempt 1 has timeout, the receiver answered 204",
        ),
    ],
)
def test_a_record_that_disagrees_with_the_receivers_is_a_problem(
    attempts: list[AttemptRow], requests: list[Request], what: str
) -> None:
    judged = verdict(attempts=attempts, requests=requests)

    assert what in texts(judged)
    assert not judged.passed


def test_an_exhausted_delivery_with_a_success_on_record_is_a_problem() -> None:
    assert "exhausted with 1 successful" in texts(verdict(deliveries=[delivery(state="exhausted")]))


def test_a_blocked_delivery_must_not_have_been_sent() -> None:
    judged = verdict(deliveries=[delivery(state="blocked")], attempts=[failed(0, 1)])

    assert "blocked, yet" in texts(judged)


def test_other_bytes_than_the_stored_ones_are_a_problem() -> None:
    assert "body of the request" in texts(verdict(requests=[request(body_sha256="0" * 64)]))


def test_a_signature_by_another_secret_is_a_problem() -> None:
    assert "signature" in texts(verdict(secrets={"/one/0": "whsec_b3RoZXItb3RoZXItb3RoZXI="}))


def test_a_request_of_no_delivery_is_a_problem() -> None:
    assert "a request of no delivery" in texts(verdict(requests=[request(), request(path="/two")]))


def doubled(*faults: Fault, claims: int = 2, **changes: Any) -> Verdict:
    """Accepted at 0 s, not recorded; taken over and accepted again at 10 s."""
    values: dict[str, Any] = {
        "deliveries": [delivery(claim_number=claims)],
        "attempts": [attempt(10)],
        "requests": [request(0), request(10)],
        "faults": faults,
    }
    return verdict(**values | changes)


@pytest.mark.parametrize(
    "of",
    [
        fault(Kind.KILL_WORKER, 0.2),
        fault(Kind.KILL_WORKER, LEASE),
        fault(Kind.KILL_ALL_WORKERS, 0.2, target="workers"),
        fault(Kind.PAUSE_DATABASE, LEASE, target="postgres"),
        fault(Kind.KILL_DATABASE, -0.5, 4, target="postgres"),
        fault(Kind.CUT_CONNECTIONS, LEASE - 1, 0),
    ],
)
def test_a_second_copy_after_a_claim_that_a_fault_kept_from_record_is_explained(of: Fault) -> None:
    judged = doubled(of)

    assert (judged.duplicates, judged.duplicates_explained, judged.unrecorded) == (1, 1, 1)
    assert judged.passed


@pytest.mark.parametrize(
    "faults",
    [
        [],
        [fault(Kind.KILL_WORKER, LEASE + 2)],
        [fault(Kind.KILL_WORKER, -1.5, 5)],
        [fault(Kind.KILL_WORKER, 0.2, target="worker-2")],
        [fault(Kind.KILL_DATABASE, 0.2)],
        [fault(Kind.CUT_CONNECTIONS, LEASE - 1, 0, target="worker-2")],
        [fault(Kind.KILL_BROKER, 0.2)],
        [fault(Kind.FLUSH_BROKER, 0.2)],
        [fault(Kind.RESTART_WORKER, 0.2)],
        [fault(Kind.KILL_API, 0.2)],
    ],
)
def test_a_second_copy_without_such_a_fault_is_not_explained(faults: list[Fault]) -> None:
    judged = doubled(*faults)

    assert (judged.duplicates, judged.duplicates_explained) == (1, 0)
    assert not judged.passed


def test_a_fault_explains_no_more_copies_than_there_are_claims_without_an_attempt() -> None:
    judged = doubled(fault(Kind.KILL_WORKER, 0.2), claims=1)

    assert (judged.duplicates, judged.duplicates_explained) == (1, 0)


def test_each_copy_needs_a_claim_of_its_own() -> None:
    requests = [request(0), request(1), request(10)]

    one = doubled(fault(Kind.KILL_WORKER, 1.2), requests=requests, claims=2)
    two = doubled(fault(Kind.KILL_WORKER, 1.2), requests=requests, claims=3)

    assert (one.duplicates, one.duplicates_explained, one.passed) == (2, 1, False)
    assert (two.duplicates, two.duplicates_explained, two.passed) == (2, 2, True)


def test_a_late_attempt_explains_its_copy_if_a_fault_made_it_late() -> None:
    late = attempt(0, late=True)

    assert doubled(fault(Kind.PAUSE_DATABASE, LEASE - 1), attempts=[late, attempt(10)]).passed
    assert not doubled(attempts=[late, attempt(10)]).passed


def test_a_claim_that_the_database_forgot_as_it_was_killed_explains_a_late_attempt() -> None:
    killed = fault(Kind.KILL_DATABASE, 0.2)
    attempts = [attempt(0, late=True), attempt(10)]

    assert doubled(killed, attempts=attempts, claims=1).passed
    assert not doubled(fault(Kind.KILL_DATABASE, 3), attempts=attempts, claims=1).passed
    assert not doubled(fault(Kind.RESTART_DATABASE, 0.2), attempts=attempts, claims=1).passed


def test_two_recorded_acceptances_are_never_explained() -> None:
    judged = doubled(fault(Kind.KILL_WORKER, 0.2), attempts=[attempt(0), attempt(10, number=2)])

    assert (judged.duplicates, judged.duplicates_explained) == (1, 0)
    assert "2 successful attempts" in texts(judged)


def test_a_request_that_is_not_on_record_needs_a_fault_even_if_it_doubled_nothing() -> None:
    requests = [request(0, None), request(10)]

    assert doubled(fault(Kind.KILL_WORKER, 0.2), requests=requests).passed
    assert "no fault kept from being recorded" in texts(doubled(requests=requests))


def test_what_a_person_cancelled_must_not_go_on() -> None:
    judged = verdict(cancelled={"d1"}, deliveries=[delivery(state="exhausted")])

    assert "cancelled by a person, yet it went on" in texts(judged)


def test_the_log_entry_of_a_cancellation_is_no_attempt() -> None:
    entry = attempt(0, success=False, status_code=None, error_class="cancelled", timestamp="")
    judged = verdict(
        deliveries=[delivery(state="cancelled", attempts=0, claim_number=0)], attempts=[entry], requests=[]
    )

    assert judged.passed


def test_a_process_that_died_by_itself_is_a_problem() -> None:
    assert "died by itself" in texts(verdict(faults=[fault(Kind.DIED, 1)]))


def test_steps_of_a_run_are_as_many_events_as_were_accepted() -> None:
    rows = [EventRow(event_id="evt_1", type="workflow.step.started", subject="run_1", recipients=1)]
    call = Told(key=("run_1", "workflow.step.started"), paths=frozenset({"/one/0"}))

    assert verdict(told=[call], events=rows).passed
    assert (verdict(told=[call, call], events=rows)).lost == 1


def test_an_event_with_more_deliveries_than_recipients_is_a_problem() -> None:
    rows = [delivery(), delivery(id="d2", path="/one/1", state="cancelled", attempts=0, claim_number=0)]

    assert "2 of 1 deliveries" in texts(verdict(deliveries=rows))


@pytest.mark.parametrize(
    "changes",
    [
        {"refusals": ["POST /v1/events: 422"]},
        {"answers": {"202": 9, "500": 1, "503": 5}},
        {"answers": {"503 without Retry-After": 1}},
        {"faults": [replace(fault(Kind.KILL_API, 0), note="not done: why")]},
        {"faults": [replace(fault(Kind.RESTART_API, 0), note="did not stop in 20 s")]},
    ],
)
def test_what_did_not_go_as_it_should_is_a_problem(changes: Any) -> None:
    assert len(verdict(**changes).problems) == 1


def test_a_worker_that_runs_but_takes_nothing_is_a_problem() -> None:
    assert "worker-2 runs but takes no messages" in texts(verdict(silent={"worker-2"}))


def test_a_kill_of_any_worker_may_explain_a_request_of_nobody_knows_whom() -> None:
    unknown = request(0, peer=Peer(port=1))

    assert doubled(fault(Kind.KILL_WORKER, 0.2, target="worker-2"), requests=[unknown, request(10)]).passed
