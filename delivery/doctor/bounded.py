"""Asks a server that may never answer, for a bounded time."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Answer = TypeVar("Answer")

# A question that hangs for so long is left behind and asked anew.
ABANDONED_SECONDS = 10.0


class Question(Generic[Answer]):
    """Asked on a thread of its own, by one at a time: who asks meanwhile waits for the same answer.

    So a probe returns in time whatever the server does, and any number of probes cost the server no
    more than one.
    """

    def __init__(self, ask: Callable[[], Answer]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._asked_at = 0.0
        self._answer: Future[Answer] | None = None

    def answer(self, seconds: float, *, kept_seconds: float = 0.0) -> Answer:
        """The answer, at most `kept_seconds` old, or what asking raised; TimeoutError after `seconds`."""
        with self._lock:
            age = time.monotonic() - self._asked_at
            answer = self._answer
            if answer is None or age > (kept_seconds if answer.done() else ABANDONED_SECONDS):
                answer = self._answer = Future()
                self._asked_at = time.monotonic()
                threading.Thread(target=self._run, args=(answer,), name="doctor", daemon=True).start()
        return answer.result(seconds)

    def _run(self, answer: "Future[Answer]") -> None:
        try:
            answer.set_result(self._ask())
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for the answer
            answer.set_exception(error)
