"""Shapes of plots."""

from hypothesis import example, given
from hypothesis import strategies as st

from delivery.admin.plots import HEIGHT, WIDTH, Series, logarithmic, nice_top, stacked

STEPS = ["10:00", "10:01", "10:02", "10:03", "10:04"]


def test_bars_stand_upon_each_other_and_the_highest_reaches_its_share_of_the_axis() -> None:
    drawing = stacked([Series("good", "g", [10, 0, None, 3, 5]), Series("bad", "b", [10, 0, 1, 0, 5])], STEPS)

    assert drawing.marks == ["20", "10", "0"]
    good, bad = [bar for bar in drawing.bars if float(bar.x) < WIDTH / 5]
    assert (good.css, good.y, good.height) == ("g", "100", "100")
    assert (bad.css, bad.y, bad.height) == ("b", "0", "100")
    assert len(drawing.bars) == 6, "nothing is drawn of nothing"


def test_each_step_says_its_numbers_wherever_the_pointer_is_above_it() -> None:
    drawing = stacked([Series("good", "g", [10, 0, None, 3, 5])], STEPS)

    assert drawing.columns[3].title == "10:03\ngood: 3"
    assert (drawing.columns[3].x, drawing.columns[3].width) == ("600", "200")


def test_a_line_has_a_gap_where_there_is_nothing() -> None:
    drawing = logarithmic([Series("p50", "p", [10, 100, None, 1_000, None])], STEPS)

    through, lonely = drawing.lines
    assert through.points == "100,200 300,100"
    assert lonely.points == "650,0 750,0", "a point alone is a short stroke"
    assert drawing.marks == ["1 s", "100 ms", "10 ms"]


def test_nothing_at_all_is_an_empty_plot() -> None:
    assert stacked([], STEPS).bars == []
    assert logarithmic([Series("p50", "p", [None] * 5)], STEPS).lines == []


def test_a_few_times_are_named_the_first_and_the_last_among_them() -> None:
    times = stacked([], [str(n) for n in range(60)]).times

    assert (times[0], times[-1], len(times)) == ("0", "59", 4)


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e9)), min_size=1, max_size=100))
@example([0.0, 5e-324])
def test_everything_is_within_the_drawing(values: list[float | None]) -> None:
    steps = [str(n) for n in range(len(values))]
    bars = stacked([Series("one", "o", values), Series("two", "t", values)], steps).bars
    lines = logarithmic([Series("one", "o", values)], steps).lines

    assert all(-0.1 <= float(bar.y) <= HEIGHT and float(bar.height) <= HEIGHT for bar in bars)
    points = [point.split(",") for line in lines for point in line.points.split()]
    assert all(0 <= float(x) <= WIDTH and -0.1 <= float(y) <= HEIGHT for x, y in points)


@given(st.floats(0, 1e12))
def test_an_axis_ends_at_a_round_number_not_far_beyond(most: float) -> None:
    top = nice_top(most)

    assert top >= most
    assert top <= max(2, 2 * most)
