"""The thread of every worker that carries replays on: one of its own, so that neither a backlog of
messages nor a broker that is away holds them up."""

import logging
import threading

from django.conf import settings
from django.db import close_old_connections, connection

from delivery.database import DATABASE_AWAY
from delivery.replays.chunks import carry_on

logger = logging.getLogger(__name__)


class ReplayLoop:
    """Looks each `REPLAY_INTERVAL_SECONDS`, and sooner where a rate allows the next chunk sooner."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="replayer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def join(self, seconds: float) -> bool:
        """Wait for the chunk under way; False if it takes longer."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            wait = settings.REPLAY_INTERVAL_SECONDS
            try:
                close_old_connections()
                wait = min(wait, carry_on(stop=self._stop.is_set))
            except DATABASE_AWAY as error:
                logger.warning("replays wait for the database error=%s", str(error).strip())
                connection.close()
            except Exception:
                logger.exception("replays failed; they go on")
            self._stop.wait(wait)
        connection.close()
