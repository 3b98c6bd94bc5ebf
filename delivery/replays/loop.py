"""The thread of every worker that carries replays on."""

from django.conf import settings

from delivery.replays.chunks import carry_on
from delivery.turns import TurnsLoop


class ReplayLoop(TurnsLoop):
    """Looks each `REPLAY_INTERVAL_SECONDS`, and sooner where a rate allows the next chunk sooner."""

    def __init__(self) -> None:
        super().__init__("replayer", carry_on, lambda: settings.REPLAY_INTERVAL_SECONDS)
