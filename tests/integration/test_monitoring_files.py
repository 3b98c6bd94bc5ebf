"""The dashboard and the alert rules: they load, and each metric that they ask for is there."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client
from pytest_django import Settings

from delivery import metrics
from delivery.canary import mark_seen
from delivery.presence import Load, Presence
from delivery.retention.prune import prune_for_a_while
from tests.brokers import pointed_at, valkey
from tests.counted import attempted, count
from tests.integration.test_metrics import samples
from webhooks_project import measured

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana/runhooks.json").read_text())
ALERTS: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())

RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
EXPRESSIONS = {target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]}
EXPRESSIONS |= {rule["expr"] for rule in RULES}
_METRIC = re.compile(r"\brunhooks_\w+")


@pytest.fixture
def there(client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of all metrics of a service in which something of everything has happened."""
    settings.METRICS_TOKEN = "sesame"
    monkeypatch.setattr(metrics, "KEPT_SECONDS", 0.0)
    attempted()
    count()
    measured.note("GET", "/v1/webhooks", 200, 0.01)
    mark_seen()
    prune_for_a_while(lambda: False)
    load = Load(under_way=5, given_back={"receiver_busy": 2})
    Presence("worker-1@host", lambda: ["deliveries.first"], 8, load=lambda: load).say_if_due()
    with valkey() as broker, pointed_at(broker.url):
        page = client.get("/metrics", HTTP_AUTHORIZATION="Bearer sesame").content.decode()
    # A metric that has labels has no samples while there is nothing to label: its name is there.
    return {name for name, *_ in samples(client)} | set(re.findall(r"^# TYPE (\w+)", page, re.MULTILINE))


def test_every_metric_that_they_name_is_there(there: set[str]) -> None:
    named = {name for expression in EXPRESSIONS for name in _METRIC.findall(expression)}

    assert len(named) > 15
    assert named - there == set()


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    panels = DASHBOARD["panels"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule["annotations"]) == {"summary", "description"}
    assert rule["labels"]["severity"] in {"page", "warning"}
    assert rule["expr"].count("(") == rule["expr"].count(")")


@pytest.mark.parametrize("expression", sorted(EXPRESSIONS))
def test_what_each_process_of_the_api_says_of_the_whole_is_counted_once(expression: str) -> None:
    """Only requests are an instance's own; Prometheus may ask several instances for all else."""
    of_the_whole = re.sub(r"runhooks_api_request_\w+", "", expression)

    for found in _METRIC.finditer(of_the_whole):
        before = of_the_whole[: found.start()]
        assert re.search(r"\bmax(?: by \([\w, ]+\))? ?\((?:(?:rate|increase)\()?$|absent\($", before), found[
            0
        ]
