"""The form of a subscription: what the API takes as JSON, in fields for people."""

import json
from typing import Any

from django import forms
from django.contrib.postgres.forms import SimpleArrayField

from subscriptions import services
from subscriptions.admin.service_forms import ServiceForm
from subscriptions.event_types import CATALOGUE, EVERY_EVENT, SignatureScheme
from subscriptions.models import Subscription, default_schemes
from subscriptions.rules import RATE_LIMIT_MIN_PER_SECOND

EVENTS_LISTED = (EVERY_EVENT, *CATALOGUE)


class LinesField(SimpleArrayField):
    """A list of texts, one per line; blank lines do not count."""

    def __init__(self, **kwargs: Any) -> None:
        line = forms.CharField(max_length=128)
        super().__init__(line, delimiter="\n", required=False, widget=forms.Textarea({"rows": 4}), **kwargs)

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str):
            value = "\n".join(line for line in value.splitlines() if line.strip())
        return super().to_python(value)


class ForgetfulTextarea(forms.Textarea):
    """What was typed is not shown again where the form has errors, as browsers' password fields."""

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        return super().get_context(name, None, attrs)


class SubscriptionForm(ServiceForm):
    events = forms.MultipleChoiceField(
        choices=[(name, name) for name in EVENTS_LISTED],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="* is every event.",
    )
    custom_events = LinesField(help_text="The platform's own event types, one per line.")
    workflow_ids = LinesField(help_text="One per line. None: the events of all workflows.")
    signature_schemes = forms.MultipleChoiceField(
        choices=[(name.value, name.value) for name in SignatureScheme],
        widget=forms.CheckboxSelectMultiple,
        initial=default_schemes,
    )
    secret = forms.CharField(
        required=False,
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "off"}),
        help_text="The caller's own secret; it is never shown again. Empty: as it is.",
    )
    remove_secret = forms.BooleanField(required=False, help_text="Forget the caller's own secret.")
    headers = forms.CharField(
        required=False,
        widget=ForgetfulTextarea({"rows": 4}),
        help_text='Sent with each request, such as {"X-Team": "a"}; never shown again. '
        "Empty: as they are; {}: none.",
    )

    rate_limit_per_second = forms.FloatField(
        required=False,
        min_value=RATE_LIMIT_MIN_PER_SECOND,
        help_text="The most requests per second, evenly spaced. Empty: no limit.",
    )

    class Meta:
        model = Subscription
        fields = (
            *("organization", "name", "url", "is_active", "events", "workflow_ids"),
            *("payload_format", "signature_schemes", "retry_policy", "retry_schedule", "timeout_seconds"),
            "rate_limit_per_second",
        )
        widgets = {"url": forms.TextInput({"size": 80})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.is_new:
            events = self.instance.events
            self.initial["events"] = [name for name in events if name in EVENTS_LISTED]
            self.initial["custom_events"] = [name for name in events if name not in EVENTS_LISTED]

    def clean_headers(self) -> dict[str, str] | None:
        text = self.cleaned_data["headers"]
        if not text:
            return None
        try:
            headers = json.loads(text)
        except (ValueError, RecursionError):
            raise forms.ValidationError("Enter valid JSON.") from None
        if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
            raise forms.ValidationError("This must be one JSON object whose values are texts.")
        return headers

    def clean_retry_schedule(self) -> list[float] | None:
        # No waits at all can only be asked for through the API: here an empty field is "no list".
        return self.cleaned_data["retry_schedule"] or None

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if "events" in data and "custom_events" in data:
            data["events"] = [*data["events"], *data["custom_events"]]
        return data

    def carry_out(self) -> Subscription:
        if self.is_new:
            values = {name: self.cleaned_data[name] for name in services.EDITABLE} | self._write_only()
            subscription, signing_secret = services.subscription_create(
                organization=self.cleaned_data["organization"], values=values
            )
            if signing_secret != values.get("secret"):
                self.secrets = {f"Signing secret of {subscription.pk}": signing_secret}
            return subscription
        return services.subscription_update(
            organization=self.instance.organization,
            subscription_id=self.instance.pk,
            values=self._edited() | self._write_only(),
        )

    def _edited(self) -> dict[str, Any]:
        """Only what was edited, so that the changes of two people do not undo each other."""
        edited = {"events" if name == "custom_events" else name for name in self.changed_data}
        return {name: self.cleaned_data[name] for name in edited.intersection(services.EDITABLE)}

    def _write_only(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        if self.cleaned_data["secret"] or self.cleaned_data.get("remove_secret"):
            values["secret"] = self.cleaned_data["secret"] or None
        if self.cleaned_data["headers"] is not None:
            values["headers"] = self.cleaned_data["headers"]
        return values
