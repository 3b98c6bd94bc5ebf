"""How requests are told apart for Prometheus: few series, whatever strangers ask for."""

import pytest

from webhooks_project.measured import OTHER, route_of


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/", "/"),
        ("/healthz", "/healthz"),
        ("/v1/events", "/v1/events"),
        ("/v1/events/batch", "/v1/events/batch"),
        ("/v1/runs/run_1/steps/fetch/start", "/v1/runs/{}/steps/{}/start"),
        ("/leaperone/v1/images/generations/x/", "/leaperone/v1/images/generations/{}"),
        ("/admin/delivery/delivery/", "/admin"),
        ("/static/subscriptions/admin.css", "/static"),
        ("/v1/events/1/2/3", OTHER),
        ("/v1/%00", OTHER),
        ("/wp-login.php", OTHER),
    ],
)
def test_a_path_is_counted_under_its_route(path: str, route: str) -> None:
    assert route_of(path) == route
