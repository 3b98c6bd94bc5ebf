"""The Django processes of the stack: how the API, a worker and beat are started and known to be ready."""

import http.client
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from local.files import CHECKOUT
from local.service import Service

QUEUES = "deliveries.first,deliveries.retry,deliveries.replay,deliveries.slow,maintenance"
# A process uses one core at the most, and workers and databases need theirs. Events that come at the same
# time are stored together if they come to the same process: rather few of them.
API_PROCESSES = max(1, (os.cpu_count() or 1) // 2)


@dataclass(frozen=True, kw_only=True)
class Applications:
    """Builds the services that run this project's code, with one environment."""

    folder: Path
    env: Mapping[str, str]

    def api(self, host: str, port: int) -> Service:
        command = ["gunicorn", "webhooks_project.asgi:application"]
        command += ["--worker-class", "webhooks_project.server.Worker"]
        command += ["--bind", f"[{host}]:{port}" if ":" in host else f"{host}:{port}"]
        command += ["--workers", str(API_PROCESSES)]
        # Idle connections cost next to nothing. A client whose next call meets the end of two seconds,
        # the default, would be told that the server hung up.
        command += ["--keep-alive", "75"]
        command += ["--graceful-timeout", "8", "--no-control-socket", "--log-level", "info"]
        memory = Path("/dev/shm")  # noqa: S108 - gunicorn makes an unnamed file there
        if memory.is_dir():
            # The heartbeat of its processes must not wait for a disk.
            command += ["--worker-tmp-dir", str(memory)]
        # An answer alone could come from a stranger on the same port.
        return self._service(
            "api", command, lambda api: "Listening at" in api.output() and _is_healthy(host, port)
        )

    def worker(self, number: int, pool: str, concurrency: int) -> Service:
        name = f"worker-{number}"
        command = ["celery", "-A", "webhooks_project", "worker", "--hostname", f"{name}@%h"]
        if pool != "loop":
            command += ["--pool", pool]
        command += ["--concurrency", str(concurrency), "--queues", QUEUES]
        command += ["--loglevel", "INFO", "--without-gossip", "--without-mingle"]
        service = self._service(name, command, lambda worker: " ready." in worker.output())
        service.wave = 1
        # Longer than an attempt may take by default, so that Ctrl-C does not cut one off.
        service.stop_seconds = 20.0
        return service

    def beat(self) -> Service:
        command = ["celery", "-A", "webhooks_project", "beat", "--loglevel", "INFO"]
        command += ["--schedule", str(self.folder / "beat-schedule"), "--pidfile="]
        return self._service("beat", command, lambda beat: "beat: Starting" in beat.output())

    def _service(self, name: str, module: list[str], ready: Callable[[Service], bool]) -> Service:
        # The -X option means nothing to Python; it tells whoever lists processes which stack this is.
        mark = f"runhooks={self.folder}"
        return Service(
            name=name,
            folder=self.folder,
            command=[sys.executable, "-X", mark, "-m", *module],
            mark=mark,
            env=self.env,
            cwd=CHECKOUT,
            ready=ready,
        )


def _is_healthy(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
