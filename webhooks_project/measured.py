"""How many requests were answered and how long that took, for Prometheus.

Each process counts for itself. Those of one gunicorn share a folder (webhooks_project/server.py), where what
ended processes counted stays as well: any of them tells of all.
"""

from collections.abc import Iterator
from functools import cache

from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

# Plain reports take 2 ms, the slowest of the admin's pages and exports seconds.
BOUNDS_SECONDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
# One series each would be hundreds, and nobody asks how long a single list of the admin takes.
WHOLE = ("admin", "static")
OTHER = "other"

_registry = CollectorRegistry()
_seconds = Histogram(
    "runhooks_api_request_seconds",
    "From the head of a request to the end of its answer.",
    ["method", "route", "status"],
    buckets=BOUNDS_SECONDS,
    registry=_registry,
)


@cache
def routes() -> tuple[frozenset[str], frozenset[str]]:
    """All routes with `{}` for what differs, and the words that are in them."""
    found = frozenset(_routes("", get_resolver().url_patterns))
    return found, frozenset(word for route in found for word in route.split("/")) - {"{}"}


def _routes(before: str, patterns: list[URLPattern | URLResolver]) -> Iterator[str]:
    for pattern in patterns:
        path = before + str(pattern.pattern)
        if path.startswith(WHOLE):
            continue
        if isinstance(pattern, URLResolver):
            yield from _routes(path, pattern.url_patterns)
        else:
            yield "/".join("{}" if "<" in word else word for word in path.strip("/").split("/"))


def route_of(path: str) -> str:
    """The route without Django's resolver, which takes longer than a plain report. Strangers add none."""
    first, *_ = words = path.strip("/").split("/")
    if first in WHOLE:
        return f"/{first}"
    known, of_routes = routes()
    route = "/".join(word if word in of_routes else "{}" for word in words)
    return f"/{route}" if route in known else OTHER


def note(method: str, path: str, status: int, seconds: float) -> None:
    """A request was answered."""
    labels = (method if method in METHODS else OTHER, route_of(path), f"{status // 100}xx")
    _series(*labels).observe(seconds)


@cache
def _series(method: str, route: str, status: str) -> Histogram:
    return _seconds.labels(method, route, status)


def page() -> bytes:
    """Of all processes that share the folder, or else of this one."""
    registry = _registry
    if settings.API_MEASUREMENTS_FOLDER:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, settings.API_MEASUREMENTS_FOLDER)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
