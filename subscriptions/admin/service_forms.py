"""Forms whose saving is a service: the admin never writes past the rules that the API obeys."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from subscriptions.admin.base import BaseAdmin
from webhooks_project.errors import DomainError


class ServiceForm(forms.ModelForm):  # type: ignore[type-arg]
    """Valid is what the service accepts, so the service is asked, once all fields are well formed.

    It has then done its work; what it refuses is an error next to the field that it names.
    """

    outcome: Any = None
    #: what the service made and tells only now, by name
    secrets: Mapping[str, str] = {}

    def carry_out(self) -> Any:
        """Call the service with the cleaned data; returns the saved object."""
        raise NotImplementedError

    def is_valid(self) -> bool:
        if super().is_valid() and self.outcome is None:
            try:
                with transaction.atomic():
                    self.outcome = self.carry_out()
            except DomainError as error:
                self.add_error(error.field if error.field in self.fields else None, error.detail)
        return self.outcome is not None

    def changed_values(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in self.changed_data}

    @property
    def is_new(self) -> bool:
        return bool(self.instance._state.adding)


class ServiceAdmin(BaseAdmin):
    """Saves through a `ServiceForm`, and shows once what only its service knows."""

    form: type[ServiceForm]

    def save_form(self, request: HttpRequest, form: Any, change: Any) -> Any:
        return form.outcome

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """The form's service has saved it."""
        obj.new_secrets = form.secrets

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        if obj.new_secrets:
            return self.show_once(request, obj.new_secrets, self.page_of(obj))
        return super().response_add(request, obj, post_url_continue)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: Any) -> None:
        """The form's service has saved it."""
