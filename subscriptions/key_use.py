"""When each API key was last used, to a minute: written after the answer has gone out.

Authentication has read the key's row and knows whether it is time; the thread remembers that until its
request is finished. Nothing here can delay an answer or make it fail.
"""

import logging
import threading
from datetime import timedelta
from typing import Any

from django.db import Error
from django.db.models import Q
from django.utils import timezone

from subscriptions.models import ApiKey

logger = logging.getLogger(__name__)

PRECISION = timedelta(minutes=1)

_thread = threading.local()


def note(key: ApiKey) -> None:
    """The request of this thread came with the key."""
    is_due = key.last_used_at is None or key.last_used_at <= timezone.now() - PRECISION
    _thread.due = key.pk if is_due else None
    if is_due:
        key.last_used_at = timezone.now()  # the row may be kept for the next requests


def write_noted(**_: Any) -> None:
    """Receiver of `request_finished`."""
    due, _thread.due = getattr(_thread, "due", None), None
    if due is None:
        return
    now = timezone.now()
    # Looked at again: of many requests at once, in any process, one writes.
    old = Q(last_used_at=None) | Q(last_used_at__lte=now - PRECISION)
    try:
        ApiKey.objects.filter(old, pk=due).update(last_used_at=now)
    except Error as error:
        logger.warning("use of an API key not noted key=%s error=%s", due, " ".join(str(error).split()))
