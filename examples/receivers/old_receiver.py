"""Stands for a receiver of another system: it knows nothing but what it knew there, and prints what comes.

old_receiver.py [HEADER]: the header with the hex HMAC-SHA256 of the body, whose key is in OLD_SECRET.
"""

import hashlib
import hmac
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HEADER = sys.argv[1] if len(sys.argv) > 1 else None
SECRET = os.environ.get("OLD_SECRET", "").encode()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        verdict = "unsigned"
        if HEADER:
            expected = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
            is_genuine = hmac.compare_digest(expected.encode(), self.headers.get(HEADER, "").encode())
            verdict = "genuine" if is_genuine else "FORGED"
        print(self.path, verdict, body.decode(), flush=True)
        self.send_response(401 if verdict == "FORGED" else 200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


if __name__ == "__main__":
    port = int(os.environ.get("RECEIVER_PORT", "9000"))
    server = ThreadingHTTPServer(("127.0.0.1", port), Receiver)
    print(f"receiving at http://127.0.0.1:{port}/", flush=True)
    server.serve_forever()
