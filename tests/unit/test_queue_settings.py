"""What Celery is told: settings whose wrong value no single delivery would notice."""

from typing import Any

from webhooks_project.celery import app

CONF: Any = app.conf


def test_a_worker_takes_no_more_than_one_message_per_thread_beforehand() -> None:
    assert CONF.worker_prefetch_multiplier == 1


def test_messages_are_acknowledged_late_and_results_are_not_kept() -> None:
    assert CONF.task_acks_late
    assert CONF.task_ignore_result
    assert CONF.result_backend is None
