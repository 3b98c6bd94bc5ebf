"""What the doctor makes of the ages of counts and of the retention."""

import pytest

from delivery.doctor.finding import Level
from delivery.doctor.upkeep import judge_counts, judge_retention
from delivery.retention.selectors import Ages


@pytest.mark.parametrize(
    ("lag", "level"), [(None, Level.OK), (12.0, Level.OK), (299.0, Level.OK), (301.0, Level.WARNING)]
)
def test_counts_that_are_behind_for_minutes_are_a_warning(lag: float | None, level: Level) -> None:
    assert judge_counts(lag).level is level


@pytest.mark.parametrize(
    ("ages", "level", "what"),
    [
        (None, Level.OK, "not been at work yet"),
        (Ages(200, 200), Level.OK, "gone 3 min ago"),
        (Ages(200, None), Level.OK, "at work on what has gathered"),
        (Ages(200, 170_000), Level.OK, "gone 47 h ago"),
        (Ages(200, 180_000), Level.WARNING, "has not got through"),
        (Ages(4_000, 4_000), Level.WARNING, "last at work 67 min ago"),
        (Ages(4_000, None), Level.WARNING, "last at work 67 min ago"),
    ],
)
def test_a_retention_that_is_silent_or_does_not_get_through_is_a_warning(
    ages: Ages | None, level: Level, what: str
) -> None:
    finding = judge_retention(ages)

    assert finding.level is level
    assert what in finding.what
