"""The WSGI application behind a socket of this process, so that the publisher can be exchanged."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler


class QuietHandler(WSGIRequestHandler):
    """Header and body go out in two pieces, which would wait for each other."""

    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        return


@contextmanager
def serving(application: Any) -> Iterator[str]:
    """The base URL of the application while it is served."""
    server = ThreadedWSGIServer(("127.0.0.1", 0), QuietHandler)
    server.set_app(application)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
