"""A collector of OpenTelemetry on loopback: remembers every span that it is sent."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector:
    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.status = 200
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, count: int, name: str, seconds: float = 20.0) -> list[Span]:
        """The spans of this name, as soon as there are so many."""
        ends = time.monotonic() + seconds
        with self._changed:
            while len(found := [span for span in self.spans if span.name == name]) < count:
                left = ends - time.monotonic()
                assert left > 0, f"{len(found)} spans {name}; all: {[span.name for span in self.spans]}"
                self._changed.wait(left)
        return found

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = ExportTraceServiceRequest()
                request.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
                with collector._changed:
                    collector._changed.notify_all()
                    for resource in request.resource_spans:
                        for scope in resource.scope_spans:
                            collector.spans += scope.spans
                self.send_response(collector.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def attributes(span: Span) -> dict[str, Any]:
    """Its attributes as Python has such values."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}
