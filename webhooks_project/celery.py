"""The Celery application: a task per subscriber and attempt.

Celery carries wake-ups, nothing else: messages name a row, results are not kept, and an
acknowledgement follows the commit of the row (late ack). What the broker loses or doubles is
harmless, for the claim in `delivery/claim.py` decides what is sent. The visibility timeout is long
because every wait that passes through Celery is short (settings/queue.py has the arithmetic).
"""

import logging
from typing import Any

from celery import Celery
from celery.signals import after_setup_logger, after_setup_task_logger
from django.conf import settings

from webhooks_project.env import choose_settings
from webhooks_project.logs import JsonLines

choose_settings()

app = Celery("webhooks_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["delivery"])


@after_setup_logger.connect
@after_setup_task_logger.connect
def _write_as_set(logger: logging.Logger, **_: Any) -> None:
    """Workers and beat get handlers of Celery's own, after Django's."""
    if settings.LOG_FORMAT == "json":
        for handler in logger.handlers:
            handler.setFormatter(JsonLines())
