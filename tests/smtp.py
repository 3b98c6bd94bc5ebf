"""A mail server that lets nobody in, and repeats what it was told: the worst one to give a password to."""

import socketserver
import threading
from typing import Self


class _Session(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.say("220 mail.acme.example")
        for line in self.rfile:
            said = line.decode(errors="replace").strip()
            verb = said.split(" ")[0].upper()
            if verb == "EHLO":
                self.say("250-mail.acme.example\r\n250 AUTH PLAIN")
            elif verb == "AUTH":
                self.server.refused.release()  # type: ignore[attr-defined]
                self.say(f"535 not accepted: {said}")
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


class RefusingMailServer(socketserver.ThreadingTCPServer):
    """`refused` can be acquired once for each log-in that it refused."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.refused = threading.Semaphore(0)
        self.port = int(self.server_address[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
