"""The short way of executors' calls: a new run, a report about a run or a step, and reports in a batch.

As with events (delivery/api/lean.py) a plain call is answered before Django and REST framework, together with
those that came at the same time; whatever is not plain, and whatever is refused, goes the ordinary way, which
alone says what is wrong with it.
"""

import re
from collections.abc import Callable, Iterable
from functools import partial
from queue import SimpleQueue
from typing import Any

import orjson
from django.conf import settings
from rest_framework.exceptions import ValidationError

from delivery.api.ingest import Counted
from delivery.api.lean import Said, plain_call
from runs.api import report_serializers as inputs
from runs.api.batch import Batch, BatchInput
from runs.api.gathered import Creation, Done, Reports, gathering
from runs.api.reports import run_report, step_report
from runs.api.serializers import IMPORT_FIELDS, RunInput
from runs.models import PUBLIC_ID
from runs.states import Move
from subscriptions.api.authentication import Caller
from subscriptions.api.base import checked
from subscriptions.models import Scope
from webhooks_project.environ import Application, Environ
from webhooks_project.renderers import EscapingJSONRenderer

CREATE, BATCH = "/v1/runs", "/v1/runs/batch"
REPORT = re.compile(
    rf"/v1/runs/(?P<run_id>{PUBLIC_ID})(/steps/(?P<key>{inputs.STEP_KEY}))?/(?P<move>[a-z-]+)"
)
# Whoever gathers with a batch waits until all of it is stored, so a larger one has a transaction of its own,
# in its request's thread: it has saved those calls already. This is about what 20 callers bring at once.
TOGETHER_MAX = 20
# As REST framework says them of the views.
OF_ALL_VIEWS = [("Content-Type", "application/json"), ("Vary", "Accept")]

# Makes a call of its values, or None if it is not plain.
Maker = Callable[[Caller, Any, Callable[[Any], None]], "Reports | Creation | None"]


def answering_runs(application: Application) -> Application:
    """Answer plain calls of executors; `application` answers everything else. The thread waits."""

    def wrapped(environ: Environ, start_response: Any) -> Iterable[bytes]:
        maker = _maker(environ) if environ["REQUEST_METHOD"] == "POST" else None
        said = None if maker is None else _said(maker, environ)
        if said is not None:
            start_response(said.status, said.headers)
            return [said.body]
        return application(environ, start_response)

    return wrapped


def _maker(environ: Environ) -> Maker | None:
    path = environ["PATH_INFO"]
    if not path.startswith(CREATE):
        return None
    if path == CREATE:
        return _creation
    if path == BATCH:
        return _batch
    found = REPORT.fullmatch(path)
    if found is None or found["move"] not in (inputs.STEP_SHAPES if found["key"] else inputs.RUN_SHAPES):
        return None
    return partial(_report, found["run_id"], found["key"], Move(found["move"]))


def _report(
    run_id: str, key: str | None, move: Move, caller: Caller, values: Any, answer: Callable[[Any], None]
) -> Reports:
    if key is None:
        valid = checked(inputs.RUN_SHAPES[move], values)
        said = run_report(caller, run_id, move, valid, full_urls=caller.sees_full_urls(Scope.RUNS_READ))
    else:
        said = step_report(caller, run_id, key, move, checked(inputs.STEP_SHAPES[move], values))
    return Reports(caller, answer, [said])


def _batch(caller: Caller, values: Any, answer: Callable[[Any], None]) -> Reports | None:
    said = checked(BatchInput, values)["reports"]
    if len(said) > TOGETHER_MAX:
        return None
    batch = Batch(caller, said)
    return Reports(caller, answer, batch.reported, batch)


def _creation(caller: Caller, values: Any, answer: Callable[[Any], None]) -> Creation | None:
    valid = checked(RunInput, values)
    if not valid.keys().isdisjoint(IMPORT_FIELDS):
        return None
    return Creation(caller, answer, valid, full_urls=caller.sees_full_urls(Scope.RUNS_READ))


def _said(maker: Maker, environ: Environ) -> Said | None:
    plain = plain_call(environ, most_bytes=settings.API_BODY_MAX_BYTES)
    if plain is None:
        return None
    answers: SimpleQueue[Done | Exception | Counted | None] = SimpleQueue()
    try:
        call = maker(plain.caller, plain.values, answers.put)
    except ValidationError:
        return None
    if call is None:
        return None
    gathering().put(call)
    answer, of_the_view = answers.get(), [*OF_ALL_VIEWS, ("Allow", call.allowed)]
    if isinstance(answer, Done):
        return plain.said(call.status, _rendered(answer.body), of_the_view, answer.verdict)
    return plain.unstored(answer, of_the_view)


def _rendered(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:
        # Lone surrogates, and numbers beyond 64 bits.
        return EscapingJSONRenderer().render(value)
