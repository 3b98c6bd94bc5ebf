"""Lists are filtered by their declared filters alone: any other lookup would tell what a page hides."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.auth.models import User
from django.db.models import Field, Model
from django.test import RequestFactory
from rest_framework.test import APIClient

from tests.admin_pages import member
from tests.integration.test_admin import a_run

__all__ = ["a_run"]

# Each column by which a list is filtered, and how; Django's filters of a column have `isnull` beside `exact`.
ANSWERED = {
    "auth.user": "groups__id__exact groups__isnull is_active is_staff is_superuser",
    "delivery.attempt": "=error_class is_test =organization =subscription success",
    "delivery.delivery": "is_test lane =organization =replay =state =subscription",
    "delivery.event": "is_test =organization =type",
    "delivery.eventbody": "payload_format",
    "delivery.replay": "=organization state",
    "delivery.slowreceiver": "=organization",
    "runs.run": "=organization status =workflow",
    "runs.step": "run__id__exact status",
    "runs.workflow": "dialect =organization",
    "runs.workflowversion": "payload_format =workflow",
    "subscriptions.apikey": "=organization revoked_at__isempty",
    "subscriptions.auditentry": "=actor =organization",
    "subscriptions.notice": "=organization sent_at__isempty",
    "subscriptions.signingsecret": "kind =organization =subscription",
    "subscriptions.subscription": "deleted_at__isempty disabled_at__isempty disabled_reason "
    "failing_since__isempty is_active =organization payload_format",
}
HIDDEN = (
    *(
        "delivery/attempt/?response_body__contains=a",
        "delivery/attempt/?response_headers__X-Recv__startswith=a",
    ),
    *("delivery/attempt/?delivery__body__body__contains=a", "delivery/attempt/export/csv/?url__contains=a"),
    *("delivery/eventbody/?body__contains=a", "delivery/delivery/?callback__headers__startswith=a"),
    *("runs/run/?input__icontains=a", "runs/run/?webhook_url__iregex=a", "runs/step/?run__input__contains=a"),
    *("subscriptions/apikey/?encrypted_key__startswith=a", "subscriptions/apikey/?key_hash__startswith=a"),
    *("subscriptions/subscription/?encrypted_headers__startswith=a", "subscriptions/auditentry/?before__x=a"),
)
HEAVY = (
    *("delivery/attempt/?response_body__regex=(", "delivery/delivery/?url__regex=%5B"),
    "delivery/delivery/?url__iregex=(a%2B)%2Bb",
)


def lookups(model: type[Model], depth: int = 1) -> Iterator[str]:
    """Each column with each lookup it knows and as if it held JSON, and those of the rows it points at."""
    for field in model._meta.get_fields():
        yield field.name
        if isinstance(field, Field):
            yield field.attname
            yield f"{field.name}__key__startswith"
            yield f"{field.name}__isempty"
            yield from (f"{field.name}__{lookup}" for lookup in field.get_lookups())
        if depth and isinstance(field.related_model, type):
            yield from (f"{field.name}__{inner}" for inner in lookups(field.related_model, depth - 1))


def is_answered(model: type[Model], lookup: str, user: Any) -> bool:
    request = RequestFactory().get("/", {lookup: "1"})
    request.user = user
    try:
        site._registry[model].get_changelist_instance(request)
    except DisallowedModelAdminLookup:
        return False
    except Exception:  # noqa: BLE001 - whatever the value led to, the lookup was tried
        return True
    return True


def written_out(names: str) -> set[str]:
    """`=name` is a parameter of a filter of ours, a bare name two of Django's."""
    found = set()
    for name in names.split():
        found |= (
            {name.removeprefix("=")} if "=" in name or "__" in name else {f"{name}__exact", f"{name}__isnull"}
        )
    return found


def test_of_all_lookups_of_all_columns_lists_answer_those_of_their_filters() -> None:
    member("viewer")
    user = User.objects.get()
    answered = {
        model._meta.label_lower: {name for name in {*lookups(model)} if is_answered(model, name, user)}
        for model in site._registry
    }

    assert {model: found for model, found in answered.items() if found} == {
        model: written_out(names) for model, names in ANSWERED.items()
    }


@pytest.mark.parametrize("address", HIDDEN)
def test_a_viewer_cannot_ask_for_what_is_hidden_letter_by_letter(a_run: str, address: str) -> None:
    assert member("viewer").get(f"/admin/{address}").status_code in (400, 403)


@pytest.mark.parametrize("address", HEAVY)
def test_patterns_are_refused_before_the_database_sees_them(a_run: str, address: str) -> None:
    assert member("administrator").get(f"/admin/{address}").status_code == 400


@pytest.mark.parametrize("parameter", ["lane__exact", "state", "organization", "subscription", "created"])
def test_a_nul_is_refused_in_every_filter(a_run: str, parameter: str) -> None:
    assert member("viewer").get(f"/admin/delivery/delivery/?{parameter}=%00").status_code == 400


def test_the_link_from_a_run_to_its_steps_leads_there(a_run: str, api: APIClient) -> None:
    client = member("viewer")
    page = client.get("/admin/runs/run/").context["cl"].result_list[0]

    listed = client.get(f"/admin/runs/step/?run__id__exact={page.pk}")

    assert listed.status_code == 200
    assert {step.run_id for step in listed.context["cl"].result_list} == {page.pk}
