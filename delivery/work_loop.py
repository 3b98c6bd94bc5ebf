"""Threads of a worker, each its own, that look for work again and again: requeuer, fan-outs, replays."""

import logging
import threading
from collections.abc import Callable

from django.db import close_old_connections, connection

from delivery.database import DATABASE_AWAY

logger = logging.getLogger(__name__)


class WorkLoop:
    """Neither a backlog of messages nor a broker that is away holds its work up."""

    def __init__(
        self, name: str, work: Callable[[Callable[[], bool]], float], interval: Callable[[], float]
    ) -> None:
        """`work` is told when to stop, and says after how many seconds it wants to look again: at the
        latest that is when the interval is over.
        """
        self._work = work
        self._interval = interval
        self._stopped = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There is work now."""
        self._woken.set()

    def stop(self) -> None:
        self._stopped.set()
        self._woken.set()

    def join(self, seconds: float) -> bool:
        """Wait for the work under way; False if it takes longer."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def leave(self) -> None:
        """The last thing that the thread does with its connection."""

    def _run(self) -> None:
        while not self._stopped.is_set():
            wait = self._interval()
            self._woken.clear()
            try:
                close_old_connections()
                wait = min(wait, self._work(self._stopped.is_set))
            except DATABASE_AWAY as error:
                logger.warning("%s waits for the database error=%s", self._thread.name, str(error).strip())
                connection.close()
            except Exception:
                logger.exception("%s failed; it goes on", self._thread.name)
            if not self._stopped.is_set():
                self._woken.wait(wait)
        self.leave()
        connection.close()
