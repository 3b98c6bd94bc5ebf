"""The thread of every worker that carries replays on."""

from django.conf import settings

from delivery.replays.chunks import carry_on
from delivery.work_loop import WorkLoop


class ReplayLoop(WorkLoop):
    """Looks each `REPLAY_INTERVAL_SECONDS`, and sooner where a rate allows the next chunk sooner."""

    def __init__(self) -> None:
        super().__init__("replayer", carry_on, lambda: settings.REPLAY_INTERVAL_SECONDS)
