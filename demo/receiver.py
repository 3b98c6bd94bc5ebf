"""The receivers of the demo, in a process of their own: `python -m demo.receiver`.

Signatures are verified by the receivers' library of Standard Webhooks and by a plain HMAC, never by
this project's signer. Each path is one receiver; `POST /_configure` says what it expects,
`GET /_record` tells everything that came in.
"""

import hashlib
import hmac
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

CONFIGURE = "/_configure"
RECORD = "/_record"


class Receivers:
    """What each path expects, and the record of all requests."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.expectations: dict[str, dict[str, Any]] = {}
        self.record: list[dict[str, Any]] = []
        self._seen: Counter[tuple[str, str]] = Counter()

    def receive(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """The status to answer with: 401 for a bad signature, 503 as often as the path is told to fail."""
        with self.lock:
            expected = self.expectations[path]
            webhook_id = headers.get("webhook-id", "")
            self._seen[path, webhook_id] += 1
            verified = verify(expected, headers, body)
            status = 204 if verified else 401
            if verified and self._seen[path, webhook_id] <= expected.get("fail_first", 0):
                status = 503
            self.record.append(
                {
                    "path": path,
                    "webhook_id": webhook_id,
                    "status": status,
                    "verified": verified,
                    "body": body.decode(),
                }
            )
            return status


def verify(expected: dict[str, Any], headers: dict[str, str], body: bytes) -> bool:
    """Does the request carry the signature that this path expects?"""
    if expected["scheme"] == "standard_webhooks":
        try:
            Webhook(expected["secret"]).verify(body, headers)
        except WebhookVerificationError:
            return False
        return True
    digest = hmac.new(expected["secret"].encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(digest, headers.get("x-webhook-signature", ""))


def handler(receivers: Receivers) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.path == CONFIGURE:
                receivers.expectations |= json.loads(body)
                self._answer(204)
            elif self.path in receivers.expectations:
                headers = {name.lower(): value for name, value in self.headers.items()}
                self._answer(receivers.receive(self.path, headers, body))
            else:
                self._answer(404)

        def do_GET(self) -> None:
            with receivers.lock:
                answer = json.dumps(receivers.record).encode()
            self._answer(200 if self.path == RECORD else 404, answer)

        def _answer(self, status: int, body: bytes = b"") -> None:
            self.send_response(status)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if status != 204:
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            return

    return Handler


def main() -> None:
    """Serve on a free port, printed as the only line."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(Receivers()))
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
