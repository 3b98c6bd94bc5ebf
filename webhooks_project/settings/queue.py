"""Celery: the message is a nudge, the row in PostgreSQL is the truth."""

from datetime import timedelta
from typing import Any

from kombu import Exchange, Queue

from webhooks_project import env
from webhooks_project.settings.base import demanded

CELERY_BROKER_URL = env.url(
    "BROKER_URL", demanded("BROKER_URL", "redis://127.0.0.1:1/0"), ("redis", "rediss")
)
BROKER_SOCKET_TIMEOUT_SECONDS = env.number("BROKER_SOCKET_TIMEOUT_SECONDS", 2.0)
# The broker hands a message out again when it was not acknowledged for this long. It must outlast
# the longest wait inside Celery (DELIVERY_RETRY_IN_CELERY_SECONDS) plus one attempt: 60 + 30 s at
# the most by default, so 600 s leaves room; recovery does not depend on it, the requeuer is faster.
BROKER_VISIBILITY_TIMEOUT_SECONDS = env.integer("BROKER_VISIBILITY_TIMEOUT_SECONDS", 600, at_least=30)
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": BROKER_VISIBILITY_TIMEOUT_SECONDS,
    # They never delay the others: webhooks_project/transport.py.
    "background_queues": ("deliveries.replay", "deliveries.slow"),
    "global_keyprefix": env.text("BROKER_KEY_PREFIX", "runhooks:"),
    # Without these a publish to a half-dead broker blocks for ever (kombu sets no time limit).
    "socket_timeout": BROKER_SOCKET_TIMEOUT_SECONDS,
    "socket_connect_timeout": BROKER_SOCKET_TIMEOUT_SECONDS,
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.2,
}
CELERY_BROKER_TRANSPORT = "webhooks_project.transport:SturdyTransport"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_STORE_ERRORS_EVEN_IF_IGNORED = False
# One more try at once, on a new connection; after that the requeuer has the row.
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_max": 0.2}
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_DEFAULT_QUEUE = "maintenance"
CELERY_TASK_QUEUES = tuple(
    Queue(name, Exchange(name, type="direct"), routing_key=name)
    for name in (
        *("deliveries.first", "deliveries.retry", "deliveries.replay", "deliveries.slow"),
        "maintenance",
    )
)
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# Unless `--pool` names another one.
CELERY_WORKER_POOL = "delivery.loop.pool:LoopPool"
CELERY_WORKER_HIJACK_ROOT_LOGGER = True
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 0.0
# Celery's Django integration closes the database connection before and after every task unless
# this is set; `delivery/tasks.py` looks after broken connections itself.
CELERY_DB_REUSE_MAX = 1_000_000
CELERY_TIMEZONE = "UTC"


def _every(seconds: int, task: str) -> dict[str, Any]:
    """One that waited longer than the next one is due tells nothing new: it expires."""
    return {
        "task": f"delivery.tasks.{task}",
        "schedule": timedelta(seconds=seconds),
        "options": {"expires": seconds, "queue": "maintenance"},
    }


CELERY_BEAT_SCHEDULE = {
    "canary": _every(15, "canary"),
    "notices": _every(30, "send_notices"),
    "stopped": _every(30, "finish_stopped"),
    "counts": _every(10, "roll_up"),
    "old counts": _every(600, "forget_counts"),
    "held": _every(3600, "cancel_forgotten"),
    "answers": _every(600, "forget_answers"),
    "retention": _every(300, "prune"),
}
