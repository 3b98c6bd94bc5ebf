"""What the counts of a span look like: three plots, each with its numbers and a way to the rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from delivery.admin import plots
from delivery.admin.plots import Drawing, Series
from delivery.stats import texts
from delivery.stats.selectors import Counts, Span, Steps, total

PERCENTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
# Answers that have a colour of their own; others share one.
COLOURED = frozenset({"2xx", "3xx", "4xx", "5xx", "timeout"})


@dataclass(frozen=True)
class Chart:
    title: str
    #: of what is drawn, for who does not see it
    summary: str
    drawing: Drawing
    series: Sequence[Series]
    #: a row for each step: its time and a text for each series
    table: Sequence[tuple[str, Sequence[str]]]
    url: str


def charts(found: Steps, span: Span, *, hours: int) -> list[Chart]:
    """`hours` is what the lists' filter calls the span."""
    return [_ended(found, span, hours), *_latencies(found, span, hours), answers(found, span, hours=hours)]


def answers(found: Steps, span: Span, *, hours: int, subscription_id: int | None = None) -> Chart:
    """Attempts by how they were answered, of all or of a subscription."""
    whole = total(found)
    query: dict[str, Any] = {"created": hours} | (
        {} if subscription_id is None else {"subscription": subscription_id}
    )
    series = [
        Series(
            answer,
            f"answer-{answer if answer in COLOURED else 'other'}",
            [counts.answers[answer] for _, counts in found],
            _url("delivery_attempt", query | _filter(answer)),
        )
        for answer in sorted(whole.answers)
    ]
    summary = ", ".join(f"{texts.number(whole.answers[one.name])} {one.name}" for one in series)
    steps, url = _names(found, span), _url("delivery_attempt", query)
    drawing = plots.stacked(series, steps)
    table = _table(found, series, _exactly)
    return Chart("Attempts by answer", summary or "No attempts.", drawing, series, table, url)


def _ended(found: Steps, span: Span, hours: int) -> Chart:
    whole, query = total(found), {"created": hours}
    series = [
        Series(
            "delivered",
            "answer-2xx",
            [counts.delivered for _, counts in found],
            _url("delivery_delivery", query | {"state": "delivered"}),
        ),
        Series(
            "given up",
            "answer-5xx",
            [counts.given_up for _, counts in found],
            _url("delivery_delivery", query | {"state": "exhausted"}),
        ),
    ]
    summary = f"{whole.delivered:,} delivered, {whole.given_up:,} given up"
    drawing = plots.stacked(series, _names(found, span))
    url = _url("delivery_delivery", query)
    return Chart("Deliveries", summary, drawing, series, _table(found, series, _exactly), url)


def _latencies(found: Steps, span: Span, hours: int) -> list[Chart]:
    measures: list[tuple[str, str, Callable[[Counts, float], float | None]]] = [
        ("To the first attempt", "delivery_delivery", Counts.first_ms),
        ("Requests", "delivery_attempt", Counts.request_ms),
    ]
    return [
        _latency(found, span, title, _url(list_, {"created": hours}), of) for title, list_, of in measures
    ]


def _latency(
    found: Steps, span: Span, title: str, url: str, of: Callable[[Counts, float], float | None]
) -> Chart:
    whole = total(found)
    series = [
        Series(name, f"line-{name}", [of(counts, share) for _, counts in found])
        for name, share in PERCENTILES
    ]
    summary = ", ".join(f"{name} {texts.duration(of(whole, share))}" for name, share in PERCENTILES)
    drawing = plots.logarithmic(series, _names(found, span))
    return Chart(title, summary, drawing, series, _table(found, series, texts.duration), url)


def _filter(answer: str) -> dict[str, Any]:
    """By which the list of attempts finds it."""
    return {"answer": answer[0]} if answer.endswith("xx") else {"error_class": answer}


def _table(
    found: Steps, series: Sequence[Series], text: Callable[[float | None], str]
) -> list[tuple[str, list[str]]]:
    """The newest first."""
    lines = [
        (f"{at:%Y-%m-%d %H:%M}", [text(one.values[n]) for one in series]) for n, (at, _) in enumerate(found)
    ]
    return lines[::-1]


def _exactly(value: float | None) -> str:
    return f"{value or 0:,.0f}"


def _names(found: Steps, span: Span) -> list[str]:
    return [_name(at, span) for at, _ in found]


def _name(at: datetime, span: Span) -> str:
    return f"{at:%H:%M}" if span.length <= timedelta(days=1) else f"{at:%d %b %H:%M}"


def _url(list_: str, query: Mapping[str, object]) -> str:
    return f"{reverse(f'admin:{list_}_changelist')}?{urlencode(query)}"
