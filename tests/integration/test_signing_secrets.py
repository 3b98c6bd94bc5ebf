"""Signing secrets and key pairs: made where they are needed, shown once, exchanged with an overlap."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from freezegun import freeze_time
from rest_framework.test import APIClient

from delivery.models import Delivery
from subscriptions.models import Organization, SigningSecret
from subscriptions.signing_secrets import IN_FORCE_MAX
from tests.factories import answer, at_once, completed_run, refusal, webhook, workflow
from tests.receiver import Received, Receiver
from tests.unit.test_docs_verifying import python

Attempting = Callable[..., Any]
PAIR = ["standard_webhooks_ed25519"]


def told(api: APIClient, attempt: Attempting, receiver: Receiver) -> Received:
    """The request of a new custom event."""
    api.post("/v1/events", {"event_type": "order.paid", "data": {}})
    attempt(Delivery.objects.latest("id"))
    return receiver.requests[-1]


def genuine(request: Received, public_keys: list[str]) -> bool:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return python("verify_standard_ed25519")(public_keys, headers, request.body)


def kinds(request: Received) -> list[str]:
    return sorted(part.partition(",")[0] for part in request.headers["webhook-signature"].split())


def test_a_subscription_that_asks_for_it_is_signed_with_a_pair_of_its_own(
    api: APIClient, receiver: Receiver, attempt: Attempting
) -> None:
    made = webhook(api, url=receiver.url(), signature_schemes=["standard_webhooks", *PAIR])
    other = webhook(api, signature_schemes=PAIR, events=["other.event"])

    request = told(api, attempt, receiver)

    assert len(made["public_keys"]) == 1
    assert made["public_keys"] != other["public_keys"]
    assert kinds(request) == ["v1", "v1a"]
    assert genuine(request, made["public_keys"])
    assert not genuine(request, other["public_keys"])


def test_a_pair_is_made_when_the_scheme_is_chosen_and_kept_from_then_on(api: APIClient) -> None:
    made = webhook(api)
    path = f"/v1/webhooks/{made['id']}"

    chosen = answer(api.patch(path, {"signature_schemes": PAIR}))["public_keys"]
    api.patch(path, {"signature_schemes": ["standard_webhooks"]})
    again = answer(api.patch(path, {"signature_schemes": PAIR}))["public_keys"]

    assert made["public_keys"] == []
    assert len(chosen) == 1
    assert again == chosen


def test_no_answer_holds_a_private_key(api: APIClient, admin_client: Client) -> None:
    made = webhook(api, signature_schemes=PAIR)
    api.post(f"/v1/webhooks/{made['id']}/rotate-secret")
    row = SigningSecret.objects.filter(kind="ed25519").latest("pk")

    for page in (
        api.get(f"/v1/webhooks/{made['id']}").content,
        admin_client.get(f"/admin/subscriptions/subscription/{made['id']}/change/").content,
        admin_client.get(f"/admin/subscriptions/signingsecret/{row.pk}/change/").content,
    ):
        assert row.public_key.encode() in page
        assert not re.search(rb"whsk_[A-Za-z0-9+/]", page)
        assert row.encrypted_secret.encode() not in page


def test_rotation_says_until_when_the_old_ones_sign_and_both_do(
    api: APIClient, receiver: Receiver, attempt: Attempting, admin_client: Client
) -> None:
    made = webhook(api, url=receiver.url(), signature_schemes=["standard_webhooks", *PAIR])
    path = f"/v1/webhooks/{made['id']}"
    before = timezone.now()

    rotation = answer(api.post(f"{path}/rotate-secret", {"overlap_seconds": 600}))
    request = told(api, attempt, receiver)

    ends = datetime.fromisoformat(rotation["previous_expires_at"])
    read = answer(api.get(path))
    assert timedelta(seconds=599) < ends - before < timedelta(seconds=630)
    assert read["previous_secret_expires_at"] == rotation["previous_expires_at"]
    assert made["previous_secret_expires_at"] is None
    assert read["public_keys"] == rotation["public_keys"]
    assert rotation["public_keys"][1:] == made["public_keys"]
    assert kinds(request) == ["v1", "v1", "v1a", "v1a"]
    assert genuine(request, rotation["public_keys"][:1])
    assert genuine(request, made["public_keys"])
    page = admin_client.get(f"/admin/subscriptions/subscription/{made['id']}/change/").content.decode()
    assert page.count(f"signs until {ends:%Y-%m-%d %H:%M:%S} UTC") == 2


def test_after_the_overlap_only_the_new_ones_count_and_the_next_rotation_deletes_the_rest(
    api: APIClient,
) -> None:
    made = webhook(api, signature_schemes=PAIR)
    path = f"/v1/webhooks/{made['id']}"
    first = answer(api.post(f"{path}/rotate-secret", {"overlap_seconds": 600}))

    with freeze_time(timezone.now() + timedelta(seconds=601)):
        later = answer(api.get(path))
    SigningSecret.objects.exclude(expires_at=None).update(expires_at=timezone.now() - timedelta(1))
    api.post(f"{path}/rotate-secret", {"overlap_seconds": 600})

    assert later["public_keys"] == first["public_keys"][:1]
    assert later["previous_secret_expires_at"] is None
    assert SigningSecret.objects.filter(subscription=made["id"]).count() == 4


def test_no_overlap_ends_the_old_ones_at_once(
    api: APIClient, receiver: Receiver, attempt: Attempting
) -> None:
    made = webhook(api, url=receiver.url(), signature_schemes=["standard_webhooks", *PAIR])

    rotation = answer(api.post(f"/v1/webhooks/{made['id']}/rotate-secret", {"overlap_seconds": 0}))
    request = told(api, attempt, receiver)

    assert rotation["previous_expires_at"] is None
    assert kinds(request) == ["v1", "v1a"]
    assert genuine(request, rotation["public_keys"])
    assert not genuine(request, made["public_keys"])
    assert SigningSecret.objects.filter(subscription=made["id"]).count() == 2


def test_callbacks_use_the_organizations_pair_until_the_workflow_has_its_own(
    api: APIClient, receiver: Receiver, attempt: Attempting
) -> None:
    values = {"webhook_url": receiver.url(), "signature_schemes": PAIR}
    one, other = workflow(api, **values), workflow(api, **values)
    rotation = answer(api.post(f"/v1/workflows/{one['id']}/rotate-secret"))

    for made in (one, other):
        completed_run(api, workflow_id=made["id"])
        attempt(Delivery.objects.latest("id"))

    rotated, shared = receiver.requests
    new, *_ = rotation["public_keys"]
    assert one["public_keys"] == other["public_keys"]
    assert rotation["public_keys"] == [new, *other["public_keys"]]
    listed = answer(api.get("/v1/workflows"))["workflows"]
    assert [row["public_keys"] for row in listed] == [other["public_keys"], rotation["public_keys"]]
    # Its own, and for the overlap the organization's, which receivers still know.
    assert genuine(rotated, [new])
    assert genuine(rotated, other["public_keys"])
    assert genuine(shared, other["public_keys"])
    assert not genuine(shared, [new])


def test_an_organizations_rotation_covers_its_pair(
    api: APIClient, organization: Organization, receiver: Receiver
) -> None:
    made = workflow(api, webhook_url=receiver.url(), signature_schemes=PAIR)

    rotation = answer(api.post(f"/v1/organizations/{organization.public_id}/rotate-secret"))

    assert rotation["public_keys"][1:] == made["public_keys"]
    assert answer(api.get(f"/v1/workflows/{made['id']}"))["public_keys"] == rotation["public_keys"]


def test_workflows_made_at_once_share_one_pair(api: APIClient, organization: Organization) -> None:
    made = at_once(*[lambda: workflow(api, signature_schemes=PAIR)] * 4)

    assert len({str(one["public_keys"]) for one in made}) == 1
    assert SigningSecret.objects.filter(organization=organization, kind="ed25519").count() == 1


def test_a_list_of_workflows_with_pairs_costs_one_statement_more(
    api: APIClient, django_assert_max_num_queries: Any
) -> None:
    for _ in range(3):
        workflow(api, signature_schemes=PAIR)
    with django_assert_max_num_queries(30) as three:
        api.get("/v1/workflows")
    for _ in range(5):
        workflow(api, signature_schemes=PAIR)

    with django_assert_max_num_queries(30) as eight:
        api.get("/v1/workflows")

    assert len(three) == len(eight)


def test_none_cannot_be_combined_with_a_pair(api: APIClient) -> None:
    values = {"name": "Hook", "url": "https://hooks.example.com/", "events": ["*"]}

    refused = api.post("/v1/webhooks", values | {"signature_schemes": ["none", *PAIR]})

    refusal(refused, 422, "invalid", "signature_schemes")


def test_a_pair_is_kept_encrypted(api: APIClient) -> None:
    webhook(api, signature_schemes=PAIR)

    with connection.cursor() as cursor:
        cursor.execute("SELECT s::text FROM subscriptions_signingsecret s WHERE kind = 'ed25519'")
        (row,) = cursor.fetchone()

    assert "whsk_" not in row
    assert "whpk_" in row


@pytest.mark.parametrize("field", ["secret", "signing_secret", "encrypted_secret"])
def test_what_was_shown_once_is_in_no_later_answer(api: APIClient, field: str) -> None:
    made = webhook(api, secret="the caller's own")

    for response in (api.get(f"/v1/webhooks/{made['id']}"), api.get("/v1/webhooks")):
        assert f'"{field}"' not in response.content.decode()
        assert made["signing_secret"] not in response.content.decode()


def test_only_so_many_sign_at_once_and_ending_them_makes_room(
    api: APIClient, receiver: Receiver, attempt: Attempting
) -> None:
    made = webhook(api, url=receiver.url(), signature_schemes=["standard_webhooks", *PAIR])
    path = f"/v1/webhooks/{made['id']}/rotate-secret"
    for _ in range(IN_FORCE_MAX - 1):
        answer(api.post(path))

    refused = refusal(api.post(path), 409, "too_many_secrets", "overlap_seconds")
    request = told(api, attempt, receiver)
    rotation = answer(api.post(path, {"overlap_seconds": 0}))

    assert "overlap_seconds 0" in refused["detail"]
    assert kinds(request) == ["v1"] * IN_FORCE_MAX + ["v1a"] * IN_FORCE_MAX
    assert genuine(request, made["public_keys"])
    assert len(rotation["public_keys"]) == 1
    assert answer(api.post(path))["previous_expires_at"] is not None
