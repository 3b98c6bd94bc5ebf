"""docker-compose.yml without containers: its commands, health checks and environment in processes.

The application is the files that the Dockerfile copies, and nothing else of the checkout. Only names of the
containers' world are exchanged: hosts, ports and folders.
"""

import base64
import json
import os
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from redis import Redis
from redis.exceptions import RedisError

from local import temporary, valkey
from local.files import CHECKOUT
from local.ports import free_port
from local.postgres import Postgres
from local.service import Interrupts, Service
from local.supervisor import Supervisor
from tests.deployment import arguments, build, compose, example, image_environment, instructions, moved
from tests.e2e.conftest import eventually
from tests.receiver import Receiver

# What a proxy that ends TLS says of a call.
BEHIND_TLS = {"Host": "hooks.example.com", "X-Forwarded-Proto": "https"}
HERE = ("api", "worker", "worker-background", "beat", "backup")


class Deployment:
    """Whatever docker-compose.yml names, beside each other on this machine."""

    def __init__(self, folder: Path, supervisor: Supervisor, receiver: Receiver) -> None:
        self.folder = folder
        self.application = folder / "app"
        self._supervisor = supervisor
        self._api_port, self._valkey_port = free_port(), free_port()
        self.postgres = Postgres(folder, free_port(), durable=False)
        environment = example() | {
            "SECRET_KEY": secrets.token_urlsafe(48),
            "ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "POSTGRES_PASSWORD": self.postgres.password,
            "VALKEY_PASSWORD": secrets.token_hex(24),
        }
        self.services: dict[str, dict[str, Any]] = compose(environment)["services"]
        # The test's receiver is none that production would send to.
        self._environment = environment | {
            "WEBHOOK_ALLOW_HTTP": "true",
            "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
            "WEBHOOK_ALLOWED_PORTS": str(receiver.port),
            "METRICS_TOKEN": "of-prometheus",
            "LOG_FORMAT": "json",
        }
        self._names = {
            "@postgres:5432": f"@127.0.0.1:{self.postgres.port}",
            "@valkey:6379": f"@127.0.0.1:{self._valkey_port}",
            "0.0.0.0:8000": f"127.0.0.1:{self._api_port}",
            "127.0.0.1:8000": f"127.0.0.1:{self._api_port}",
            "valkey-cli ping": f"valkey-cli -p {self._valkey_port} ping",
            "/deploy/": f"{CHECKOUT / 'deploy'}/",
            "/var/lib/postgresql": str(folder / "backups"),
            "/tmp": str(folder / "tmp"),  # noqa: S108 - a name of the containers' world
        }

    def here(self, text: str) -> str:
        return moved(text, self._names)

    def environment(self, name: str) -> Mapping[str, str]:
        """As a container of this service has it."""
        service = self.services[name]
        of_file = self._environment if "env_file" in service else {}
        said = image_environment() | of_file | service.get("environment", {})
        programs = f"{Path(sys.executable).parent}:{self.postgres.programs}:{os.defpath}"
        own = {"PATH": programs, "TMPDIR": str(self.folder / "tmp"), "DATA_DIR": str(self.folder / "none")}
        if service["image"].startswith("postgres:"):
            own |= {"PGHOST": "127.0.0.1", "PGPORT": str(self.postgres.port)}
        return {variable: self.here(value) for variable, value in said.items()} | own

    def command(self, name: str) -> list[str]:
        return [self.here(word) for word in arguments(self.services[name].get("command"), "CMD")]

    def run(self, name: str, *command: str) -> subprocess.CompletedProcess[str]:
        """A command in a container of this service."""
        return subprocess.run(
            command,
            cwd=self.application,
            env=self.environment(name),
            capture_output=True,
            text=True,
            check=False,
        )

    def healthy(self, name: str) -> bool:
        test = arguments(self.services[name].get("healthcheck", {}).get("test"), "HEALTHCHECK")
        return self.run(name, *map(self.here, test)).returncode == 0

    def start_servers(self) -> None:
        postgres = self.postgres
        postgres.prepare()
        service = postgres.service()
        program, *settings = self.command("postgres")
        assert program == "postgres"
        service.command = [*service.command, *settings]
        self._supervisor.start(service)
        broker, *settings = self.command("valkey")
        assert broker == "valkey-server"
        place = ["--bind", "127.0.0.1", "--port", str(self._valkey_port), "--dir", str(self.folder)]
        self._supervisor.start(self._service("valkey", [str(valkey.program()), *settings, *place], wave=2))
        self._supervisor.wait()
        postgres.create_database()

    def start(self, *names: str) -> None:
        """Those that do not run yet; returns when they are healthy."""
        services = self._supervisor.services
        begun = [name for name in names if name not in services or not services[name].running]
        for name in begun:
            self._supervisor.start(self._service(name, self.command(name)))
        if begun:
            self._supervisor.wait(*begun)

    def stop(self, name: str) -> int:
        """End it as the engine does; its exit status, or less than zero if its time was over."""
        service = self._supervisor.services[name]
        service.ask_to_stop()
        service.finish(Interrupts())
        assert service.process is not None
        return service.process.returncode

    def _service(self, name: str, command: list[str], wave: int = 0) -> Service:
        watched = name in HERE or shutil.which("valkey-cli")
        ready = (lambda _: self.healthy(name)) if watched else (lambda _: self._broker_answers())
        service = Service(
            name=name,
            folder=self.folder,
            command=command,
            mark=str(self.folder),
            env=self.environment(name),
            cwd=self.application,
            ready=ready,
            wave=wave,
        )
        service.stop_seconds = float(self.services[name].get("stop_grace_period", "10s").removesuffix("s"))
        return service

    def _broker_answers(self) -> bool:
        """What the health check asks, where its program is not installed."""
        try:
            return bool(Redis.from_url(self.environment("api")["BROKER_URL"]).ping())
        except RedisError:
            return False

    def call(self, method: str, path: str, key: str = "", body: Any = None) -> requests.Response:
        return requests.request(
            method,
            f"http://127.0.0.1:{self._api_port}{path}",
            json=body,
            headers=BEHIND_TLS | {"Authorization": f"Bearer {key}"},
            timeout=20,
        )


@pytest.fixture(scope="module")
def deployment(receivers: Receiver) -> Iterator[Deployment]:
    with temporary.folder() as folder, Supervisor(folder) as supervisor:
        for name in ("tmp", "app", "backups"):
            (folder / name).mkdir()
        build(folder / "app")
        made = Deployment(folder, supervisor, receivers)
        made.start_servers()
        assert made.healthy("postgres")
        for step in (rest for word, rest in instructions() if word == "RUN" and "python" in rest):
            if "pip install" not in step:
                done = made.run("migrate", "sh", "-c", step)
                assert done.returncode == 0, done.stderr
        yield made


@pytest.fixture(scope="module")
def receivers() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def files(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.fixture(scope="module")
def migrated(deployment: Deployment) -> Deployment:
    done = deployment.run("migrate", *deployment.command("migrate"))
    assert done.returncode == 0, done.stderr
    return deployment


@pytest.fixture
def running(migrated: Deployment) -> Deployment:
    """Everything up, each healthy by its own check."""
    migrated.start(*HERE)
    return migrated


@pytest.fixture(scope="module")
def key(migrated: Deployment) -> str:
    made = migrated.run(
        "api", *shlex.split("python manage.py create_api_key --organization shop --scopes all")
    )
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


@pytest.mark.timeout(240)
def test_an_event_reaches_its_receiver_through_the_services_of_the_file(
    running: Deployment, key: str, receivers: Receiver
) -> None:
    hook = {"name": "Hook", "url": receivers.url("/orders"), "events": ["order.paid"]}
    assert running.call("POST", "/v1/webhooks", key, hook).status_code == 201

    told = running.call("POST", "/v1/events", key, {"event_type": "order.paid", "data": {"number": 7}})

    assert told.status_code == 202, told.text
    (request,) = receivers.wait_for(1, "/orders", seconds=20)
    assert request.headers["webhook-id"] == told.json()["event_id"]

    def recorded() -> bool:
        page = running.call("GET", "/v1/deliveries?event_type=order.paid", key).json()
        return [delivery["state"] for delivery in page["deliveries"]] == ["delivered"]

    eventually(recorded, 10, "it is on record")


def told(running: Deployment, worker: str) -> set[str]:
    """The deliveries of whose attempts this worker's log tells."""
    text = (running.folder / "logs" / f"{worker}.log").read_text()
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return {line["delivery"] for line in lines if line["message"] == "attempt"}


def test_a_replay_is_carried_out_by_the_worker_of_the_background(
    running: Deployment, key: str, receivers: Receiver
) -> None:
    hook = {"name": "Hook", "url": receivers.url("/again"), "events": ["order.sent"]}
    running.call("POST", "/v1/webhooks", key, hook)
    running.call("POST", "/v1/events", key, {"event_type": "order.sent", "data": {}})
    receivers.wait_for(1, "/again", seconds=20)
    (delivery,) = running.call("GET", "/v1/deliveries?event_type=order.sent", key).json()["deliveries"]
    eventually(
        lambda: running.call("GET", f"/v1/deliveries/{delivery['id']}", key).json()["state"] == "delivered",
        10,
        "it may be replayed",
    )

    replayed = running.call("POST", f"/v1/deliveries/{delivery['id']}/replay", key)

    assert replayed.status_code in (201, 202), replayed.text
    receivers.wait_for(2, "/again", seconds=20)
    eventually(lambda: replayed.json()["id"] in told(running, "worker-background"), 10, "it is on its log")


def test_the_doctor_finds_nothing_wrong_with_the_services_of_the_file(running: Deployment) -> None:
    def well() -> bool:
        status: str = running.call("GET", "/readyz").json()["status"]
        return status == "ok"

    eventually(well, 30, "beat's canary has been seen")
    found = running.run("worker", *shlex.split("python manage.py doctor"))

    assert found.returncode == 0, found.stdout


def test_pages_have_their_files_from_the_image(running: Deployment) -> None:
    page = running.call("GET", "/admin/login/")

    assert page.status_code == 200
    style = next(part for part in page.text.split('"') if part.endswith(".css"))
    assert running.call("GET", style).status_code == 200


def test_plain_http_is_sent_to_https_but_for_probes_and_prometheus(running: Deployment) -> None:
    headers = {"Host": "hooks.example.com", "Authorization": "Bearer of-prometheus"}

    def ask(path: str) -> requests.Response:
        address = running.here("http://127.0.0.1:8000")
        return requests.get(address + path, headers=headers, allow_redirects=False, timeout=10)

    page = ask("/admin/")
    assert (page.status_code, page.headers["Location"]) == (301, "https://hooks.example.com/admin/")
    assert ask("/healthz").status_code == 200
    assert "\nrunhooks_broker_up 1.0\n" in ask("/metrics").text


@pytest.mark.timeout(240)
def test_everything_ends_in_its_time_and_has_written_nothing_beside_its_own_places(
    running: Deployment,
) -> None:
    written = files(running.application)

    codes = {name: running.stop(name) for name in HERE}

    assert codes == dict.fromkeys(HERE, 0)
    assert files(running.application) == written
