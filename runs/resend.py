"""Sends the webhook of an ended run again, at once, on a person's or system's demand."""

from django.db import transaction

from delivery import formats, services
from delivery.models import Delivery, Event
from runs.messages import end_of
from runs.models import Run
from runs.run_callbacks import callback_to
from runs.states import ENDED
from subscriptions import audit, rules
from subscriptions.event_types import RUN_ENDED
from webhooks_project.errors import InvalidInput


@transaction.atomic
def resend_callback(run: Run, *, url: str | None = None, timeout_seconds: float) -> Delivery:
    """One more delivery of the run's end: a single attempt, to its callback URL or to `url`.

    The bytes are those frozen when the run ended; a run that had no callback then is rendered now.
    Raises InvalidInput for a run that has not ended, has no URL, or an URL that is not allowed.
    """
    if run.status not in ENDED:
        raise InvalidInput(f"the run has not ended yet: it is {run.status}", code="not_ended")
    url = rules.clean_url(url, "webhook_url") if url else ""
    if not url and not run.has_target:
        raise InvalidInput("no webhook URL is configured for the run", field="webhook_url", code="no_url")
    # Locked against the retention, which deletes events and bodies by their age.
    ends = Event.objects.select_for_update(no_key=True)
    event = ends.filter(
        organization=run.organization, subject=run.public_id, type__in=RUN_ENDED, is_test=False
    ).first()
    if event is None:
        raise InvalidInput("the run's event is no longer kept", code="event_gone")
    callback = callback_to(run, url, timeout_seconds=timeout_seconds)

    def render() -> bytes:
        message = end_of(run, event_id=event.event_id, event_type=event.type, occurred_at=event.occurred_at)
        return formats.render(callback.payload_format, message)

    delivery = services.send_event_to(event, callback, render=render)
    audit.record(
        "run.webhook_resent",
        run.public_id,
        organization=run.organization,
        after={"delivery": str(delivery.pk), "url": callback.url},
    )
    return delivery
