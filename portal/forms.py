"""Forms of the pages. What they say is judged by the API's own serializers and services."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from django import forms
from django.utils import timezone
from rest_framework.exceptions import ValidationError

from subscriptions.admin.subscription_form import EVENTS_LISTED, LinesField
from subscriptions.api.base import valid
from subscriptions.api.serializers import SubscriptionInput
from subscriptions.event_types import PayloadFormat
from subscriptions.models import Subscription
from subscriptions.rules import RATE_LIMIT_MIN_PER_SECOND, SECRET_MAX_CHARACTERS
from subscriptions.services import ROTATION_OVERLAP_SECONDS
from webhooks_project.api_errors import validation_body
from webhooks_project.errors import Conflict, InvalidInput

Result = TypeVar("Result")
DAY_SECONDS = 24 * 3600
LOCAL = "%Y-%m-%dT%H:%M"


class SubscriptionForm(forms.Form):
    """What customers set; all else is the platform's to set through the API, and stays as it is."""

    name = forms.CharField(max_length=255)
    url = forms.CharField(
        label="URL",
        max_length=2048,
        widget=forms.URLInput({"autocomplete": "off"}),
        help_text="Where webhooks are sent to.",
    )
    events = forms.MultipleChoiceField(
        choices=[(name, "* (every event)" if name == "*" else name) for name in EVENTS_LISTED],
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
    custom_events = LinesField(label="More events", help_text="Names of further event types, one per line.")
    payload_format = forms.ChoiceField(
        label="Format of the body", choices=[(name.value, name.value) for name in PayloadFormat]
    )
    rate_limit_per_second = forms.FloatField(
        label="At most so many requests per second",
        required=False,
        min_value=RATE_LIMIT_MIN_PER_SECOND,
        help_text="Empty: no limit.",
    )
    secret = forms.CharField(
        label="Own secret",
        required=False,
        strip=False,
        max_length=SECRET_MAX_CHARACTERS,
        # Else browsers would fill in a password of somebody's.
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
        help_text="Signs the header X-Webhook-Signature. It is never shown again. Empty: none.",
    )

    def __init__(self, data: Any = None, *, subscription: Subscription | None = None) -> None:
        initial: dict[str, Any] = {"payload_format": PayloadFormat.ELAN_EVENT.value}
        if subscription is not None:
            initial = {name: getattr(subscription, name) for name in ("name", "url", "payload_format")}
            initial["rate_limit_per_second"] = subscription.rate_limit_per_second
            initial["events"] = [name for name in subscription.events if name in EVENTS_LISTED]
            initial["custom_events"] = [name for name in subscription.events if name not in EVENTS_LISTED]
        super().__init__(data, initial=initial)
        self.is_new = subscription is None
        if not self.is_new:
            self.fields["url"].help_text += " What is shown as *** stays, unless you change the URL."
            self.fields["secret"].help_text = "It is never shown. Empty: as it is."

    def values(self) -> dict[str, Any]:
        """What was edited, as the API takes it; so the changes of two people do not undo each other."""
        edited = set(self.fields if self.is_new else self.changed_data)
        values = {name: self.cleaned_data[name] for name in edited - {"events", "custom_events", "secret"}}
        if edited & {"events", "custom_events"}:
            values["events"] = [*self.cleaned_data["events"], *self.cleaned_data["custom_events"]]
        if self.cleaned_data["secret"]:
            values["secret"] = self.cleaned_data["secret"]
        return values

    def carry_out(self, save: Callable[[dict[str, Any]], Result]) -> Result | None:
        """What saving the values gives; None where they are refused, which the form then says."""
        if not self.is_valid():
            return None
        try:
            return save(valid(SubscriptionInput, self.values(), partial=not self.is_new))
        except ValidationError as error:
            body = validation_body(error.detail)
            for wrong in body.get("errors", [body]):
                self._say(wrong["field"], wrong["detail"].removeprefix(f"{wrong['field']}: "))
        except (InvalidInput, Conflict) as error:
            self._say(error.field, error.detail)
        return None

    def _say(self, field: str | None, text: str) -> None:
        name = (field or "").split(".")[0]
        self.add_error(name if name in self.fields else None, text)


class RotateForm(forms.Form):
    """How long the old secret signs beside the new one."""

    overlap_seconds = forms.TypedChoiceField(
        label="The old secret goes on signing beside the new one",
        coerce=int,
        choices=[
            (0, "not at all: it ends now"),
            (3600, "for an hour"),
            (ROTATION_OVERLAP_SECONDS, "for a day"),
            (7 * DAY_SECONDS, "for a week"),
        ],
        initial=ROTATION_OVERLAP_SECONDS,
        help_text="Take over the new one in your receiver within that time, and no webhook is refused.",
    )


class ReplayForm(forms.Form):
    """Which failures to send again: of one subscription or of all, since a time."""

    subscription_id = forms.IntegerField(required=False, widget=forms.HiddenInput)
    # The same form sent twice is one replay.
    replay_key = forms.CharField(max_length=64, widget=forms.HiddenInput)
    since = forms.DateTimeField(
        label="Failures since (UTC)",
        input_formats=[LOCAL, f"{LOCAL}:%S"],
        widget=forms.DateTimeInput({"type": "datetime-local"}, format=LOCAL),
        help_text="What has arrived since is left out.",
    )

    @staticmethod
    def a_day_ago() -> Any:
        return timezone.now() - timedelta(days=1)
