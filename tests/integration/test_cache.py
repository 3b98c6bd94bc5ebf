"""Receivers that a worker keeps, and how it reads many that it has not met."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from subscriptions import cache, snapshots
from subscriptions.models import Organization, SigningSecret, Subscription
from subscriptions.secrets import UndecryptableSecret
from subscriptions.services import signing_secret_rotate, subscription_delete
from tests.integration.attempts import new_engine
from tests.integration.test_engine import finished, submit
from tests.integration.test_outbox import happen
from tests.integration.test_queries import statements

Subscribe = Callable[..., Subscription]


@pytest.fixture
def many(subscribe: Subscribe) -> list[Subscription]:
    made = [subscribe(secret=f"sesame {n}", headers={"X-N": f"{n}"}, rate_limit_per_second=n) for n in (1, 2)]
    return [*made, subscribe(retry_schedule=[1.0]), subscribe()]


def versions(subscriptions: list[Subscription]) -> dict[int, int]:
    return dict(
        Subscription.objects.filter(pk__in=[s.pk for s in subscriptions]).values_list("pk", "version")
    )


def test_many_are_read_in_one_statement_and_are_what_each_is_alone(many: list[Subscription]) -> None:
    wanted = versions(many)

    with CaptureQueriesContext(connection) as captured:
        cache.warm(wanted)
    with CaptureQueriesContext(connection) as nothing_more:
        found = {id_: cache.receiver(id_, version) for id_, version in wanted.items()}
        cache.warm(wanted)

    assert statements(captured) == ["EXECUTE runhooks_receivers"]
    assert len(nothing_more) == 0
    assert found == {id_: snapshots.of_subscription(id_) for id_ in wanted}


def test_one_that_is_gone_or_cannot_be_decrypted_spoils_no_other(
    organization: Organization, many: list[Subscription]
) -> None:
    deleted, broken, *sound = many
    wanted = versions(many)
    subscription_delete(organization=organization, subscription_id=deleted.pk)
    broken.signing_secrets.update(encrypted_secret="nonsense")

    assert set(snapshots.of_subscriptions(wanted)) == {one.pk for one in sound}
    with pytest.raises(UndecryptableSecret):
        snapshots.of_subscription(broken.pk)


def test_secrets_come_newest_first_with_their_ends(
    organization: Organization, many: list[Subscription]
) -> None:
    rotated = many[0]
    before = snapshots.of_subscription(rotated.pk)
    signing_secret_rotate(organization=organization, subscription=rotated, overlap_seconds=60)

    now = snapshots.of_subscription(rotated.pk)

    assert before is not None
    assert now is not None
    old = [key.text for key in before.keys if key.kind == SigningSecret.Kind.STANDARD]
    newest, older = (key for key in now.keys if key.kind == SigningSecret.Kind.STANDARD)
    assert ([older.text], newest.expires_at) == (old, None)
    assert older.expires_at is not None
    assert timedelta(seconds=50) < older.expires_at - timezone.now() <= timedelta(seconds=60)


def test_a_batch_of_deliveries_reads_its_receivers_together(
    organization: Organization, many: list[Subscription], monkeypatch: pytest.MonkeyPatch
) -> None:
    Subscription.objects.update(rate_limit_per_second=None)
    engine = new_engine()
    deliveries = list(happen(organization).deliveries.all())
    warmed: list[int] = []

    def counted(ids: Any) -> Any:
        warmed.append(len(ids))
        return snapshots.of_subscriptions(ids)

    monkeypatch.setattr(cache, "of_subscriptions", counted)
    # All are there when the engine begins.
    results = submit(engine, *deliveries)
    engine.start()

    assert finished(results, 4) == [None] * 4
    assert engine.stop(10)
    assert warmed == [4]
