"""The judgement: who was promised what, what the rows say, what the receiver saw. Pure.

An attempt and a request are the same exchange if both carry the same `webhook-timestamp` for the
same delivery: both sides have it on record, and no clock is compared. What then stands alone on the
receiver's side is a claim that nobody recorded. It is explained if

- the delivery has such a claim (more claims than attempts on record), one for each, and
- its worker was killed between the request and the end of its lease, or the database was away
  when the lease was about to end, for until then a worker goes on trying.

A claim that the database forgot as it was killed counts as one, where the record that followed was late.
Only explained claims may lead to a second copy. A request without its attempt on record is judged
in the same way even if it doubled nothing, and so is an attempt that was recorded as late.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import zip_longest

from standardwebhooks import Webhook

from tests.chaos.records import (
    DID_NOT_STOP,
    KEEP_FROM_RECORDING,
    KILLS,
    NOT_DONE,
    START_FAILED,
    AttemptRow,
    DeliveryRow,
    EventRow,
    Evidence,
    Fault,
    Key,
    Kind,
    Request,
    Told,
)

ENDS = frozenset({"delivered", "exhausted", "cancelled", "blocked", "held"})
# The receiver reads a request a moment after it was sent; its sender may be dead by then.
READ_WITHIN_SECONDS = 1.0
# What a worker needs to record once the database is back: it looks twice a second.
RECORDING_SECONDS = 2.0
# From the moment when a worker gives up waiting until that is on record.
CROSSING_SECONDS = 0.25
# Claims do not wait for the disk. PostgreSQL writes them within three rounds of its writer, of 0.2 s each;
# the request goes out within half a second of its claim.
FORGOTTEN_SECONDS = 1.2


@dataclass(frozen=True)
class Problem:
    """One thing that must not be."""

    what: str
    delivery_id: str | None = None


@dataclass(kw_only=True)
class Verdict:
    """Counts, and everything that must not be."""

    accepted: int = 0
    """Deliveries of the events that the API has accepted."""
    accepted_events: int = 0
    states: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    duplicates: int = 0
    duplicates_explained: int = 0
    unrecorded: int = 0
    """Requests without an attempt on record, and late attempts."""
    explained_by: Counter[Kind] = field(default_factory=Counter)
    """How many of those go back to which kind of fault."""
    problems: list[Problem] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.problems and self.lost == 0 and self.duplicates == self.duplicates_explained


@dataclass(kw_only=True)
class Story:
    """A delivery with its attempts and the requests that came of it."""

    row: DeliveryRow
    attempts: list[AttemptRow] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def exchanges(self) -> tuple[list[tuple[AttemptRow, Request]], list[AttemptRow], list[Request]]:
        """What both sides have on record, then what only we have, then what only the receiver has."""
        requests: dict[str, list[Request]] = defaultdict(list)
        for request in self.requests:
            requests[request.timestamp].append(request)
        both, ours = [], []
        for attempt in (a for a in self.attempts if a.sent):
            found = requests[attempt.timestamp]
            if found:
                both.append((attempt, found.pop(0)))
            else:
                ours.append(attempt)
        return both, ours, [request for left in requests.values() for request in left]

    def let_go_of_crossed(self) -> None:
        """An answer that crossed with the end of its sender's time accepted nothing: nobody listened.

        The receiver cannot tell, for its network still took the bytes.
        """
        for attempt, request in self.exchanges()[0]:
            ended = request.ended
            if attempt.error_class == "timeout" and ended and ended > attempt.recorded - CROSSING_SECONDS:
                self.requests[self.requests.index(request)] = replace(request, complete=False)


def judge(evidence: Evidence) -> Verdict:
    """Everything that the chaos suite demands, at once."""
    verdict = Verdict(states=Counter(row.state for row in evidence.deliveries))
    stories = tell_stories(evidence, verdict)
    judge_events(evidence, stories, verdict)
    for story in stories.values():
        judge_delivery(story, evidence, verdict)
    for delivery_id in evidence.cancelled:
        if stories[delivery_id].row.state not in ("cancelled", "delivered"):
            verdict.problems.append(Problem("cancelled by a person, yet it went on", delivery_id))
    for worker in evidence.silent:
        verdict.problems.append(Problem(f"{worker} runs but takes no messages"))
    for answer, count in evidence.answers.items():
        if answer.startswith("5") and answer != "503":
            verdict.problems.append(Problem(f"the API answered {answer}, {count} times"))
    for refusal in evidence.refusals:
        verdict.problems.append(Problem(f"refused: {refusal}"))
    for fault in evidence.faults:
        wrong = fault.note.startswith((DID_NOT_STOP, START_FAILED, NOT_DONE))
        if wrong or fault.kind is Kind.DIED:
            verdict.problems.append(Problem(f"{fault.target} {fault.kind}: {fault.note}"))
    return verdict


def tell_stories(evidence: Evidence, verdict: Verdict) -> dict[str, Story]:
    """By delivery id. A request that belongs to no delivery is a problem."""
    stories = {row.id: Story(row=row) for row in evidence.deliveries}
    targets = {(row.webhook_id, row.path): stories[row.id] for row in evidence.deliveries}
    for attempt in evidence.attempts:
        stories[attempt.delivery_id].attempts.append(attempt)
    for request in evidence.requests:
        story = targets.get((request.webhook_id, request.path))
        if story is None:
            verdict.problems.append(Problem(f"a request of no delivery: {request.webhook_id} {request.path}"))
        else:
            story.requests.append(request)
    return stories


def judge_events(evidence: Evidence, stories: dict[str, Story], verdict: Verdict) -> None:
    """Whatever was accepted exists, once, with all its deliveries."""
    events: dict[Key, list[EventRow]] = defaultdict(list)
    for event in evidence.events:
        events[event.key].append(event)
    paths: dict[str, list[str]] = defaultdict(list)
    for story in stories.values():
        paths[story.row.event_id].append(story.row.path)
    told: dict[Key, list[Told]] = defaultdict(list)
    for one in evidence.told:
        told[one.key].append(one)
    verdict.accepted_events = len(evidence.told)
    for key, calls in told.items():
        doubled = len(events[key]) > len(calls) and key not in evidence.unanswered
        if doubled:
            verdict.problems.append(Problem(f"told {len(calls)} times, there are {len(events[key])}: {key}"))
        # Calls of one key, the steps of a run, go to the same targets.
        for event, call in zip_longest(events[key][: len(calls)], calls):
            _judge_event(call, paths[event.event_id] if event else [], event, verdict)


def _judge_event(call: Told, there: Sequence[str], event: EventRow | None, verdict: Verdict) -> None:
    wanted = max(len(call.paths), call.recipients or 0, event.recipients if event else 0)
    verdict.accepted += wanted
    missing = max(wanted - len(there), len(call.paths - set(there)))
    verdict.lost += missing
    if event is None:
        verdict.problems.append(Problem(f"accepted, but there is no event: {call.key}"))
    elif missing or len(there) > wanted:
        verdict.problems.append(Problem(f"{call.key} has {len(there)} of {wanted} deliveries"))


def judge_delivery(story: Story, evidence: Evidence, verdict: Verdict) -> None:
    """The outcome on record against the receiver's own record, exchange by exchange."""
    row = story.row
    story.let_go_of_crossed()
    both, ours, theirs = story.exchanges()
    accepted = [request for request in story.requests if request.accepted]
    if row.state not in ENDS or (row.state == "delivered" and not accepted):
        verdict.lost += 1
        verdict.problems.append(Problem(f"lost: it is {row.state}", row.id))
    late = [request for attempt, request in both if attempt.late]
    forgotten = [request for request in late if any(_forgets(fault, request) for fault in evidence.faults)]
    for text in (
        *_outcome(story, len(forgotten)),
        *_exchanges(both, ours),
        *_contents(story, evidence.secrets.get(row.path)),
    ):
        verdict.problems.append(Problem(text, row.id))
    doubtful = [*theirs, *late]
    reasons = _explained(story, doubtful, forgotten, evidence.faults)
    explained = [request for request, _ in reasons]
    verdict.unrecorded += len(doubtful)
    verdict.explained_by.update(fault.kind for _, fault in reasons)
    for request in doubtful:
        if request not in explained:
            verdict.problems.append(Problem("a request that no fault kept from being recorded", row.id))
    doubles = max(0, len(accepted) - 1)
    verdict.duplicates += doubles
    verdict.duplicates_explained += min(doubles, sum(request.accepted for request in explained))


def _outcome(story: Story, forgotten: int) -> Iterator[str]:
    """Does the state follow from the attempts?"""
    row = story.row
    counted = [attempt for attempt in story.attempts if attempt.sent and not attempt.late]
    successes = sum(attempt.success for attempt in counted)
    if successes != (row.state == "delivered"):
        yield f"it is {row.state} with {successes} successful attempts on record"
    if row.attempts != len(counted):
        yield f"the row counts {row.attempts} attempts, {len(counted)} are on record"
    if row.state == "blocked" and story.requests:
        yield "blocked, yet the receiver got a request"
    if [attempt.number for attempt in counted] != list(range(1, len(counted) + 1)):
        yield "its attempts are not numbered one by one"
    sent = sum(attempt.sent for attempt in story.attempts)
    if sent > row.claim_number + forgotten:
        yield f"{sent} attempts on record with {row.claim_number} claims"


def _exchanges(both: Sequence[tuple[AttemptRow, Request]], ours: Sequence[AttemptRow]) -> Iterator[str]:
    """Do both sides tell the same of each exchange?"""
    for attempt, request in both:
        seen = request.status if request.complete else None
        if attempt.status_code != seen:
            yield (
                f"attempt {attempt.number} has {attempt.status_code or attempt.error_class},"
                f" the receiver answered {seen or 'nothing'} ({request.mood})"
            )
    for attempt in ours:
        # Without an answer the request may never have come as far as the receiver.
        if attempt.status_code is not None:
            yield f"attempt {attempt.number} has {attempt.status_code}, the receiver saw no such request"


def _contents(story: Story, secret: str | None) -> Iterator[str]:
    """Frozen bytes, signed with the secret that was shown to the receiver, at the time that is named."""
    digest = hashlib.sha256(story.row.body).hexdigest()
    for request in story.requests:
        if request.body_sha256 != digest:
            yield f"the body of the request at {request.at:.3f} differs from the stored one"
        if secret is None:
            yield "nobody knows the secret of its path"
            continue
        moment = datetime.fromtimestamp(int(request.timestamp), UTC)
        signature = Webhook(secret).sign(request.webhook_id, moment, story.row.body.decode())
        if signature not in request.signature.split(" "):
            yield f"the signature of the request at {request.at:.3f} is wrong"


def _explained(
    story: Story, doubtful: Sequence[Request], forgotten: Sequence[Request], faults: Sequence[Fault]
) -> list[tuple[Request, Fault]]:
    """Those that a fault kept from being recorded, as far as there are claims for them."""
    claims = story.row.claim_number + len(forgotten) - sum(a.sent and not a.late for a in story.attempts)

    def reason(request: Request) -> Fault | None:
        hitting = [fault for fault in faults if _hits(fault, request, story.row.lease_seconds)]
        if request in forgotten:
            hitting += [fault for fault in faults if _forgets(fault, request)]
        return next(iter(hitting), None)

    hits = [(request, reason(request)) for request in doubtful]
    return [(request, fault) for request, fault in hits if fault is not None][: max(0, claims)]


def _hits(fault: Fault, request: Request, lease_seconds: float) -> bool:
    """Could the fault keep the request's outcome from being recorded?"""
    if fault.kind not in KEEP_FROM_RECORDING:
        return False
    if fault.target.startswith("worker-") and request.peer.worker not in (None, fault.target):
        return False
    lease_ends = request.at + lease_seconds
    if fault.kind in KILLS:
        return fault.began <= lease_ends and request.at <= fault.struck + READ_WITHIN_SECONDS
    return fault.began <= lease_ends and fault.ended >= lease_ends - RECORDING_SECONDS


def _forgets(fault: Fault, request: Request) -> bool:
    """Could the fault take the request's claim back? Its record is late then, whenever it comes."""
    age = fault.began - request.at
    return fault.kind is Kind.KILL_DATABASE and -READ_WITHIN_SECONDS <= age <= FORGOTTEN_SECONDS
