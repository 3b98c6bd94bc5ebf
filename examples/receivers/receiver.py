"""A receiver of webhooks: verify, keep, answer. The work is done afterwards.

Started by with_library.py or by_hand.py, which bring the verification.
"""

import os
import sqlite3
import threading
import traceback
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODY_MAX_BYTES = 10_000_000


def handle(webhook_id: str, body: bytes) -> None:
    """Your work. It may take its time, and it may fail: what is not done is tried again."""
    print(webhook_id, body.decode(), flush=True)


class Inbox:
    """What came in, each webhook once. It is on disk before it is answered: a crash loses nothing."""

    def __init__(self, path: str) -> None:
        self._came = threading.Event()
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS inbox (webhook_id TEXT PRIMARY KEY, body BLOB NOT NULL, "
            "is_done INTEGER NOT NULL DEFAULT 0)"
        )

    def keep(self, webhook_id: str, body: bytes) -> bool:
        """Is it new? The primary key decides, also between two requests at the same moment."""
        with self._lock:
            said = "INSERT OR IGNORE INTO inbox (webhook_id, body) VALUES (?, ?)"
            is_new = self._database.execute(said, (webhook_id, body)).rowcount == 1
        self._came.set()
        return is_new

    def work(self) -> None:
        """Do what waits: what came before the last stop, then what comes."""
        while True:
            self._came.clear()
            with self._lock:
                waiting = self._database.execute(
                    "SELECT webhook_id, body FROM inbox WHERE NOT is_done ORDER BY rowid"
                ).fetchall()
            for webhook_id, body in waiting:
                self._do(webhook_id, body)
            self._came.wait()

    def _do(self, webhook_id: str, body: bytes) -> None:
        try:
            handle(webhook_id, body)
        except Exception:  # noqa: BLE001 - whatever your work raises: the others shall not wait for it
            traceback.print_exc()
            return
        with self._lock:
            self._database.execute("UPDATE inbox SET is_done = 1 WHERE webhook_id = ?", (webhook_id,))


def serve(is_genuine: Callable[[Mapping[str, str], bytes], bool]) -> None:
    """Receive on RECEIVER_PORT, keep in the file INBOX. `is_genuine` gets header names in lower case."""
    inbox = Inbox(os.environ.get("INBOX", "inbox.sqlite3"))

    class Receiver(BaseHTTPRequestHandler):
        timeout = 10  # seconds for a client that sends nothing more

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "0")
            # A negative one would be read as: whatever comes.
            if not length.isdecimal() or len(length) > 8 or int(length) > BODY_MAX_BYTES:
                return self._answer(413)
            body = self.rfile.read(int(length))
            headers = {name.lower(): value for name, value in self.headers.items()}
            if not is_genuine(headers, body):
                return self._answer(401)
            webhook_id = headers["webhook-id"]
            if not inbox.keep(webhook_id, body):
                print(webhook_id, "came again", flush=True)
            return self._answer(204)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    port = int(os.environ.get("RECEIVER_PORT", "9000"))
    server = ThreadingHTTPServer(("127.0.0.1", port), Receiver)
    print(f"receiving at http://127.0.0.1:{port}/", flush=True)
    threading.Thread(target=inbox.work, daemon=True).start()
    server.serve_forever()
