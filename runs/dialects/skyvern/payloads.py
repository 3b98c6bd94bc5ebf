"""Skyvern's run (seed 003): the seed's 11 keys first, documented extras after them, nulls kept. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from delivery.formats import Message, compact_json
from runs.states import RunStatus
from subscriptions.event_types import PayloadFormat
from subscriptions.masks import MASKED, shown_url

if TYPE_CHECKING:
    from runs.detail import RunDetail
    from runs.models import Run

WORKFLOW_RUN = "workflow_run"
SCREENSHOTS_SHOWN = 3
# Names of former versions of Skyvern (`task_id`, `workflow_run_id`, `workflow_id`): not sent. The seed
# announces their removal, and its receivers are told to use the other keys.
LEGACY_ALIASES = False


def skyvern_run(message: Message) -> bytes:
    """The webhook: the run without the request that started it."""
    return run_body(message.detail)


def run_body(detail: "RunDetail") -> bytes:
    return normalized_json(run_object(detail))


def run_with_request(detail: "RunDetail", *, query: str = "") -> bytes:
    """What Get Run answers: the webhook's body and, at its end, `run_request`.

    `query` is that of the run's webhook URL, for those who may read it: the kept request has it masked.
    """
    return normalized_json(run_object(detail) | {"run_request": _shown_request(detail.run.request, query)})


def normalized_json(value: Any) -> bytes:
    """The text that Skyvern signs and sends: no blanks, UTF-8, key order untouched, `3.0` as `3`."""
    return compact_json(normalized(value))


def normalized(value: Any) -> Any:
    """Floats that are whole become integers, however deep: 3.0 -> 3, -0.0 -> 0, 1e20 -> 10**20."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        return {name: normalized(child) for name, child in value.items()}
    if isinstance(value, list):
        return [normalized(child) for child in value]
    return value


def run_object(detail: "RunDetail", *, legacy: bool = LEGACY_ALIASES) -> dict[str, Any]:
    """The run as Skyvern shows it, in the seed's order."""
    run = detail.run
    return {
        "run_id": run.public_id,
        "run_type": run_type(run),
        "status": status_of(run.status),
        "output": run.output,
        "downloaded_files": [_file(found) for found in _artifacts(detail, "file")],
        "recording_url": _newest_url(detail, "recording"),
        "screenshot_urls": _screenshot_urls(detail),
        "failure_reason": run.error["message"] if run.error else None,
        "app_url": _newest_url(detail, "link"),
        "created_at": naive(run.created_at),
        # The end is the last change. Reported with a time of its own (an import), it counts as said.
        "modified_at": naive(run.ended_at or run.updated_at),
        "queued_at": naive(run.created_at),
        "started_at": naive(run.started_at),
        "finished_at": naive(run.ended_at),
        "errors": _errors(run.error),
        "step_count": len(detail.steps),
        "browser_session_id": _asked(run.request, "browser_session_id"),
        **(_legacy(run) if legacy else {}),
    }


def run_type(run: "Run") -> str:
    """Runs that were not made as tasks are runs of workflows."""
    return run.kind or WORKFLOW_RUN


def status_of(status: str) -> str:
    """`canceled` has one l here; the other statuses have the same names."""
    return "canceled" if status == RunStatus.CANCELLED else str(status)


def naive(moment: datetime | None) -> str | None:
    """`2026-01-31T15:20:42.160725`: UTC that does not say so, six fractional digits."""
    if moment is None:
        return None
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def _artifacts(detail: "RunDetail", kind: str) -> list[dict[str, Any]]:
    """The run's artifacts of a kind or, where it has none, those of its steps; oldest first."""
    own = [found for found in detail.run.artifacts if found["kind"] == kind]
    return own or [found for step in detail.steps for found in step.artifacts if found["kind"] == kind]


def _newest_url(detail: "RunDetail", kind: str) -> str | None:
    found = _artifacts(detail, kind)
    return found[-1]["url"] if found else None


def _screenshot_urls(detail: "RunDetail") -> list[str] | None:
    """The last three, newest first; null for none."""
    found = _artifacts(detail, "screenshot")[-SCREENSHOTS_SHOWN:]
    return [screenshot["url"] for screenshot in reversed(found)] or None


def _file(artifact: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "url": artifact["url"],
        "checksum": artifact.get("checksum"),
        "filename": artifact.get("filename"),
        "file_size": artifact.get("size"),
        "modified_at": artifact.get("modified_at"),
        "artifact_id": artifact.get("id"),
    }


def _errors(error: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """An error with a code, in the shape of Skyvern's user-defined errors."""
    if not error or not error.get("code"):
        return []
    return [{"error_code": error["code"], "reasoning": error["message"]}]


def _asked(request: Any, name: str) -> str | None:
    """A text of the caller's request; other dialects' requests may be anything."""
    value = request.get(name) if isinstance(request, dict) else None
    return value if isinstance(value, str) else None


def without_credentials(request: dict[str, Any]) -> dict[str, Any]:
    """The request as it is kept: without the browser provider's credentials, which Skyvern masks too,
    and with the webhook's URL as it is shown."""
    headers, url = request.get("cdp_connect_headers"), request.get("webhook_url")
    if isinstance(headers, dict):
        request = request | {"cdp_connect_headers": dict.fromkeys(headers, MASKED)}
    if isinstance(url, str):
        request = request | {"webhook_url": shown_url(url)}
    return request


def _shown_request(request: Any, query: str) -> Any:
    """As the caller said it, but for those credentials."""
    if not isinstance(request, dict):
        return request
    request = without_credentials(request)
    head, mark, _ = (request.get("webhook_url") or "").partition("?")
    return request | {"webhook_url": head + mark + query} if mark and query else request


def _legacy(run: "Run") -> dict[str, str]:
    if run_type(run) != WORKFLOW_RUN:
        return {"task_id": run.public_id}
    return {"workflow_run_id": run.public_id, "workflow_id": run.version.public_id}


FORMATS = {PayloadFormat.SKYVERN_RUN: skyvern_run}
