"""The thread of every worker that tells events to many recipients."""

from django.conf import settings

from delivery.fan_out.chunks import carry_on
from delivery.work_loop import WorkLoop


class FanOutLoop(WorkLoop):
    """A message wakes it when there is such an event. It looks as often as the requeuer, if that was lost."""

    def __init__(self) -> None:
        super().__init__("fan-out", carry_on, lambda: settings.REQUEUE_INTERVAL_SECONDS)
