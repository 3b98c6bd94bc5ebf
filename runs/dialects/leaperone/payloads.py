"""LEAPERone's task object (seed 002): keys that do not apply are omitted, never null. Pure."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from delivery.formats import Message, compact_json
from runs.states import ENDED, RunStatus
from subscriptions.event_types import PayloadFormat

if TYPE_CHECKING:
    from runs.detail import RunDetail
    from runs.models import Run

# What an executor says while it puts the results where callers can fetch them.
UPLOADING = "uploading"
STATUSES: Mapping[str, str] = {
    RunStatus.QUEUED: "pending",
    RunStatus.RUNNING: "processing",
    RunStatus.PAUSED: "processing",
    RunStatus.COMPLETED: "completed",
}
# For ends that came without a reason.
ENDINGS: Mapping[str, str] = {
    RunStatus.CANCELLED: "The task was cancelled",
    RunStatus.TERMINATED: "The task was terminated",
    RunStatus.TIMED_OUT: "The task timed out",
}


def leaperone(message: Message) -> bytes:
    """The ended task."""
    return run_body(message.detail)


def run_body(detail: "RunDetail") -> bytes:
    return compact_json(task_object(detail.run))


def task_object(run: "Run") -> dict[str, Any]:
    """The task as LEAPERone shows it, `images` on success and `error` on failure."""
    task: dict[str, Any] = {"id": run.public_id, "status": status_of(run)}
    if run.status == RunStatus.COMPLETED:
        task["images"] = images_of(run)
    elif run.status in ENDED:
        task["error"] = run.error["message"] if run.error else ENDINGS.get(run.status, "The task failed")
    return task


def status_of(run: "Run") -> str:
    """The seed knows no cancelled task: to its callers every end but success is `failed`."""
    if run.status == RunStatus.RUNNING and run.progress == UPLOADING:
        return UPLOADING
    return STATUSES.get(run.status, "failed")


def images_of(run: "Run") -> list[dict[str, str]]:
    """The image artifacts, else what the output lists; one without an id gets the task's and a number."""
    made = [artifact for artifact in run.artifacts if artifact["kind"] == "image"]
    return [
        {"id": image.get("id") or f"{run.public_id}-{number}", "url": image["url"]}
        for number, image in enumerate(made or _in_output(run.output), 1)
    ]


def _in_output(output: Any) -> Iterator[Mapping[str, str]]:
    """Images in an output such as `{"images": [{"id", "url"}]}` or a list of URLs."""
    listed = output.get("images") if isinstance(output, dict) else output
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, str):
            yield {"url": item}
        elif isinstance(item, dict) and isinstance(item.get("url"), str):
            own_id = item.get("id")
            yield {"url": item["url"]} | ({"id": own_id} if isinstance(own_id, str) else {})


FORMATS = {PayloadFormat.LEAPERONE: leaperone}
