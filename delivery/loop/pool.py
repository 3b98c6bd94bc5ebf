"""The Celery pool around the engine (`CELERY_WORKER_POOL`, or `--pool` for the plain ones).

Celery imports this module before Django's apps are loaded: what needs them is in `dispatch.py`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from celery.concurrency.base import BasePool

if TYPE_CHECKING:
    from delivery.loop.dispatch import Dispatch
    from delivery.presence import Load


class LoopPool(BasePool):
    """`limit` is the number of deliveries under way at once, from message to commit."""

    limit: int
    body_can_be_buffer = True
    signal_safe = False
    _dispatch: "Dispatch"

    def on_start(self) -> None:
        from delivery.loop.dispatch import Dispatch

        self._dispatch = Dispatch()

    def on_stop(self) -> None:
        self._dispatch.stop()

    def load(self) -> "Load":
        """What it is busy with."""
        return self._dispatch.load()

    def share_among(self, workers: int) -> None:
        """Each of so many worker processes takes its share of the limits of requests."""
        self._dispatch.share_among(workers)

    def on_apply(
        self,
        target: Callable[..., Any],
        args: Any = None,
        kwargs: Any = None,
        callback: Callable[..., Any] | None = None,
        accept_callback: Callable[..., Any] | None = None,
        **_: Any,
    ) -> None:
        self._dispatch.apply(target, args, kwargs, callback, accept_callback)

    def _get_info(self) -> dict[str, Any]:
        info: dict[str, Any] = super()._get_info()  # type: ignore[misc]  # celery-types does not know it
        return {
            **info,
            "deliveries-under-way": self._dispatch.load().under_way,
            "workers-sharing-limits": self._dispatch.workers,
        }
