"""The catalogue, custom names, and which format carries what."""

import pytest

from subscriptions.event_types import (
    CATALOGUE,
    NAME_MAX_CHARACTERS,
    PayloadFormat,
    is_custom_name,
    is_subscribable,
    not_carried_by,
)

SEED_001 = """workflow.started workflow.completed workflow.failed
    workflow.step.started workflow.step.completed workflow.step.failed""".split()
NOT_NAMES = [
    *("", " ", "a b", "a-b", "a.", ".a", "a..b", "a/b", "invoice.*", "é", "invoice.paid\n", "a\x00", "٣"),
    "a" * (NAME_MAX_CHARACTERS + 1),
]
RESERVED = (
    "workflow workflow. workflow.paused workflow.step.skipped subscription subscription.created".split()
)


def test_the_catalogue_has_seed_001s_six_and_our_three() -> None:
    of_subscriptions = {f"subscription.{what}" for what in ("failing", "recovered", "disabled")}
    assert set(CATALOGUE) == {*SEED_001, "workflow.queued", "workflow.cancelled", *of_subscriptions}


@pytest.mark.parametrize("name", [*SEED_001, "workflow.cancelled", "*", "invoice.paid"])
def test_one_can_subscribe_to(name: str) -> None:
    assert is_subscribable(name)


@pytest.mark.parametrize(
    "name", ["invoice", "invoice.paid", "a.b.c.d", "A_1.b2", "workflows.done", "workflow_x.y", "9", "a" * 128]
)
def test_a_custom_name_is_dotted_letters_digits_and_underscores(name: str) -> None:
    assert is_custom_name(name)


@pytest.mark.parametrize("name", [*NOT_NAMES, *RESERVED], ids=repr)
def test_anything_else_is_no_name_and_cannot_be_subscribed_to(name: str) -> None:
    assert not is_custom_name(name)
    assert not is_subscribable(name)


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_catalogue_s_names_are_not_for_custom_events(name: str) -> None:
    assert not is_custom_name(name)


@pytest.mark.parametrize("payload_format", [PayloadFormat.STANDARD, PayloadFormat.ELAN_EVENT])
def test_two_formats_carry_every_event(payload_format: PayloadFormat) -> None:
    assert not_carried_by(payload_format, [*CATALOGUE, "*", "invoice.paid"]) == []


@pytest.mark.parametrize("payload_format", [PayloadFormat.LEAP_V1, PayloadFormat.LEAP_V2])
def test_leap_s_formats_carry_only_the_end_of_a_run(payload_format: PayloadFormat) -> None:
    names = [*CATALOGUE, "*", "invoice.paid"]

    refused = not_carried_by(payload_format, names)

    assert set(names) - set(refused) == {"workflow.completed", "workflow.failed", "workflow.cancelled"}
