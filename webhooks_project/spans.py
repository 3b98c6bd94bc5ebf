"""Spans of OpenTelemetry, sent to OTEL_EXPORTER_OTLP_ENDPOINT; imported only where that is set.

Its other variables (`OTEL_…`) are read by OpenTelemetry itself.
"""

from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

from django.conf import settings
from django.urls import Resolver404, resolve
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import SpanContext, SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from webhooks_project.environ import Application, Environ
from webhooks_project.process import OfProcess

#: the next span of this context is to have these ids
chosen: ContextVar[SpanContext | None] = ContextVar("chosen", default=None)


class Ids(RandomIdGenerator):
    """Random ones, unless they are chosen."""

    def generate_trace_id(self) -> int:
        asked = chosen.get()
        return super().generate_trace_id() if asked is None else asked.trace_id

    def generate_span_id(self) -> int:
        asked = chosen.get()
        return super().generate_span_id() if asked is None else asked.span_id


def _new_provider() -> TracerProvider:
    made = TracerProvider(
        id_generator=Ids(), resource=Resource.create({"service.name": settings.OTEL_SERVICE_NAME})
    )
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return made


# The thread that sends does not survive a fork.
provider = OfProcess(_new_provider)


def tracer() -> Tracer:
    return provider().get_tracer("runhooks", settings.VERSION)


def traced(application: Application) -> Application:
    """Each call of the API is a span, of the caller's trace if it names one."""
    propagator = TraceContextTextMapPropagator()

    def wrapped(environ: Environ, start_response: Any) -> Iterable[bytes]:
        given = {name: environ.get(f"HTTP_{name.upper()}", "") for name in propagator.fields}
        method, route = environ["REQUEST_METHOD"], _route(environ["PATH_INFO"])
        with tracer().start_as_current_span(
            f"{method} {route}",
            context=propagator.extract({name: value for name, value in given.items() if value}),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "http.route": route},
        ) as span:

            def started(status: str, *rest: Any) -> Any:
                span.set_attribute("http.response.status_code", int(status[:3]))
                return start_response(status, *rest)

            return application(environ, started)

    return wrapped


def _route(path: str) -> str:
    """Without the ids in it, so that there are few of them."""
    try:
        return f"/{resolve(path).route}"
    except Resolver404:
        return "/"
