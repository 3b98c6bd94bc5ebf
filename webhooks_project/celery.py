"""The Celery application: a task per subscriber and attempt.

Celery carries wake-ups, nothing else: messages name a row, results are not kept, and an
acknowledgement follows the commit of the row (late ack). What the broker loses or doubles is
harmless, for the claim in `delivery/claim.py` decides what is sent. The visibility timeout is long
because every wait that passes through Celery is short (settings/queue.py has the arithmetic).
"""

from celery import Celery

from webhooks_project.env import choose_settings

choose_settings()

app = Celery("webhooks_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["delivery"])
