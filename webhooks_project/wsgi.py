"""The API and admin for WSGI servers (gunicorn in the reference set-up)."""

import io
import select
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.core.signals import request_started
from django.core.wsgi import get_wsgi_application
from django.db import connection

from webhooks_project.env import choose_settings

choose_settings()

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


def reading_chunked_bodies(application: Application) -> Application:
    """Give bodies without a Content-Length one.

    Django takes such a body for an empty one, and a report that came in chunks (streaming clients and
    proxies send them) would be carried out without its content. The server says by
    `wsgi.input_terminated` that the body may be read to its end; one byte more than is allowed is
    enough for the parser to refuse it.
    """

    def wrapped(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower() and environ.get(
            "wsgi.input_terminated"
        ):
            body = environ["wsgi.input"].read(settings.API_BODY_MAX_BYTES + 1)
            environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
        return application(environ, start_response)

    return wrapped


def drop_dead_connection(**_: Any) -> None:
    """Let go of a kept connection that the database has closed meanwhile, so that nobody is told 503.

    An idle connection has nothing to read unless the server said goodbye: asking the kernel takes
    microseconds, where Django's own CONN_HEALTH_CHECKS asks the server at each request.
    """
    kept = connection.connection
    if kept is None:
        return
    waiting = select.poll()  # select() itself knows no file numbers beyond 1023
    if not kept.closed:
        waiting.register(kept.fileno(), select.POLLIN)
    if kept.closed or waiting.poll(0):
        connection.close()


request_started.connect(drop_dead_connection)
application = reading_chunked_bodies(get_wsgi_application())
