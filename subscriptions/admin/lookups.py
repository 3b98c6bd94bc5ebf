"""Which parameters of a list's address filter it: those of its declared filters, and no others."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import get_fields_from_path
from django.http import HttpRequest


def declared_lookups(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest) -> set[str]:
    return {
        str(name)
        for declared in model_admin.get_list_filter(request)
        for name in _parameters(model_admin, request, declared)
    }


def _parameters(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, declared: Any) -> Any:
    """Asked of the filter itself, made as Django's list makes it."""
    if isinstance(declared, type):
        several = getattr(declared, "parameter_names", None)
        return several or [declared.parameter_name]  # type: ignore[attr-defined]
    path, make = declared if isinstance(declared, tuple) else (declared, admin.FieldListFilter.create)
    field = get_fields_from_path(model_admin.model, path)[-1]
    return make(field, request, {}, model_admin.model, model_admin, field_path=path).expected_parameters()
