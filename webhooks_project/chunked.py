"""Bodies without a Content-Length, which Django takes for empty ones."""

import io
from collections.abc import Iterable
from typing import Any

from django.conf import settings

from webhooks_project.environ import Application, Environ


def reading_chunked_bodies(application: Application) -> Application:
    """Give bodies without a Content-Length one.

    Without it a report that came in chunks (streaming clients and proxies send them) would be carried
    out without its content. The server says by `wsgi.input_terminated` that the body may be read to
    its end; one byte more than is allowed is enough for the parser to refuse it.
    """

    def wrapped(environ: Environ, start_response: Any) -> Iterable[bytes]:
        if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower() and environ.get(
            "wsgi.input_terminated"
        ):
            body = environ["wsgi.input"].read(settings.API_BODY_MAX_BYTES + 1)
            environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
        return application(environ, start_response)

    return wrapped
