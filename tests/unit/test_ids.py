"""Identifiers: not countable where customers see them, time-ordered where tables sort by them."""

import re
import uuid

from freezegun import freeze_time

from subscriptions import ids


def test_a_subscription_id_is_an_integer_that_every_json_reader_keeps() -> None:
    made = {ids.new_subscription_id() for _ in range(2000)}

    assert len(made) == 2000
    assert all(0 < number < 2**53 for number in made)


def test_subscription_ids_cannot_be_counted() -> None:
    made = [ids.new_subscription_id() for _ in range(200)]

    assert made != sorted(made)
    assert max(made) > 2**50


def test_an_organization_id_has_a_prefix_and_random_letters_and_digits() -> None:
    made = {ids.new_organization_id() for _ in range(500)}

    assert len(made) == 500
    assert all(re.fullmatch(r"org_[A-Za-z0-9]{14}", text) for text in made)


def test_a_uuid_of_version_7_says_when_it_was_made() -> None:
    with freeze_time("2026-03-01T12:00:00Z"):
        made = ids.uuid7()

    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == 1772366400000


def test_uuids_made_later_sort_later() -> None:
    with freeze_time("2026-03-01T12:00:00Z") as clock:
        made = []
        for _ in range(100):
            made.append(ids.uuid7())
            clock.tick(0.25)

    assert made == sorted(made)
    assert [str(each) for each in made] == sorted(str(each) for each in made)


def test_uuids_of_one_millisecond_differ() -> None:
    with freeze_time("2026-03-01T12:00:00Z"):
        assert len({ids.uuid7() for _ in range(5000)}) == 5000
