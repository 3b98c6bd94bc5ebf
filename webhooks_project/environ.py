"""A request as an ASGI server tells it, in the words of WSGI: one form for all who look at it. Pure."""

import sys
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

Environ = dict[str, Any]
Scope = dict[str, Any]
# Of WSGI: what answers a request.
Application = Callable[[Environ, Any], Iterable[bytes]]

# CGI has no prefix for these two.
BARE = ("CONTENT_TYPE", "CONTENT_LENGTH")


def environ_of(scope: Scope) -> Environ:
    """All but the body, which is `wsgi.input`."""
    host, port = scope.get("server") or ("localhost", 80)
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        # As WSGI has it: bytes, told as if they were Latin-1.
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    if scope.get("client"):
        environ["REMOTE_ADDR"] = scope["client"][0]
    for name, value in scope["headers"]:
        _add_header(environ, name, value.decode("latin-1"))
    return environ


def _add_header(environ: Environ, header: bytes, value: str) -> None:
    if b"_" in header:
        # Not to be told from one with hyphens, which a proxy may have taken out: X_Forwarded_Proto.
        return
    name = header.decode("latin-1").upper().replace("-", "_")
    if name not in BARE:
        name = f"HTTP_{name}"
    environ[name] = f"{environ[name]},{value}" if name in environ else value
