"""Who listens: subscriptions of many kinds, and a workflow whose runs have callbacks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.chaos.api import Caller
from tests.chaos.target import Target

TIMEOUT_SECONDS = 1.5
# Every wait is a second or more, so attempts of one delivery differ in `webhook-timestamp`. A path
# is unwell for some seconds at a time: who is tried twenty times is reached in the end.
PATIENT = [1, 1, 2, 2, 4, *([5] * 16)]
IMPATIENT = [1, 2]
CALLBACKS = 8
RUN_EVENTS = ("workflow.started", "workflow.completed", "workflow.failed")
STEP_EVENTS = ("workflow.step.started", "workflow.step.completed", "workflow.step.failed")
ENDS = ("workflow.completed", "workflow.failed")


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A kind of subscription: the beginning of its paths, how many there are, what they ask for."""

    path: str
    events: Sequence[str]
    count: int = 1
    schedule: Sequence[int] = field(default_factory=lambda: PATIENT)
    leaves: bool = False
    """Deactivated by its owner in the middle of the run: nobody counts on it."""


WISHES = (
    Wish(path="/one", events=["chaos.one"]),
    Wish(path="/few", events=["chaos.few"], count=4),
    Wish(path="/leaving", events=["chaos.few"], count=4, leaves=True),
    Wish(path="/many", events=["chaos.many"], count=50),
    Wish(path="/runs", events=[*RUN_EVENTS, *STEP_EVENTS]),
    Wish(path="/ends", events=ENDS),
    Wish(path="/steady", events=[*ENDS, "chaos.few", "chaos.steady"]),
    Wish(path="/hasty", events=["chaos.hasty"], schedule=IMPATIENT),
    Wish(path="/never", events=["chaos.never"], schedule=[1, 2]),
    Wish(path="/gone", events=["chaos.gone"]),
    # On an address of this machine that workers are not allowed to reach, once they know.
    Wish(path="/forbidden", events=["chaos.forbidden"], schedule=IMPATIENT),
    # Long waits: there is time to cancel what waits for its second attempt.
    Wish(path="/never-cancelled", events=["chaos.cancelled"], schedule=[20, 20]),
)


@dataclass(frozen=True, kw_only=True)
class Listeners:
    """What was set up."""

    workflow_id: str
    callback_urls: Sequence[str]
    lasting: Mapping[str, frozenset[str]]
    """Event type -> paths that are told of it in any case."""
    leaving: Sequence[int]
    """Subscriptions that will be deactivated."""
    secrets: Mapping[str, str]
    """Path -> the secret that signs what goes there."""

    def paths_of(self, event_type: str) -> frozenset[str]:
        return self.lasting.get(event_type, frozenset())


def set_up(api: Caller, target: Target) -> Listeners:
    """Register everybody, before anything breaks."""
    secrets: dict[str, str] = {}
    lasting: dict[str, set[str]] = {}
    leaving: list[int] = []
    for wish in WISHES:
        for number in range(wish.count):
            path = f"{wish.path}/{number}"
            created = api.call("POST", "/v1/webhooks", _subscription(wish, _url(target, path)))
            secrets[path] = created["signing_secret"]
            if wish.leaves:
                leaving.append(created["id"])
                continue
            for event_type in wish.events:
                lasting.setdefault(event_type, set()).add(path)
    workflow = api.call("POST", "/v1/workflows", _workflow())
    secret = api.call("POST", f"/v1/workflows/{workflow['id']}/rotate-secret")["signing_secret"]
    callbacks = [f"/callback/{number}" for number in range(CALLBACKS)]
    return Listeners(
        workflow_id=workflow["id"],
        callback_urls=[target.url(path) for path in callbacks],
        lasting={name: frozenset(paths) for name, paths in lasting.items()},
        leaving=leaving,
        secrets=secrets | dict.fromkeys(callbacks, secret),
    )


def _url(target: Target, path: str) -> str:
    url = target.url(path)
    return url.replace("127.0.0.1", "127.0.0.2") if path.startswith("/forbidden") else url


def _subscription(wish: Wish, url: str) -> dict[str, object]:
    return {
        "name": wish.path,
        "url": url,
        "events": list(wish.events),
        "retry_schedule": list(wish.schedule),
        "timeout_seconds": TIMEOUT_SECONDS,
    }


def _workflow() -> dict[str, object]:
    return {"name": "Chaos", "retry_schedule": PATIENT, "timeout_seconds": TIMEOUT_SECONDS}
