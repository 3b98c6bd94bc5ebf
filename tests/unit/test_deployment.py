"""docker-compose.yml, the Dockerfile and the example of an environment fit each other and the local mode."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from local.applications import QUEUES, Applications
from local.files import CHECKOUT
from tests.deployment import (
    EXAMPLE,
    Missing,
    arguments,
    compose,
    copied,
    demanded,
    example,
    instructions,
    named,
)

SECRETS = ("SECRET_KEY", "ENCRYPTION_KEYS", "POSTGRES_PASSWORD", "VALKEY_PASSWORD")
FILLED = example() | dict.fromkeys(SECRETS, "filled-in")
WHOLE = compose(FILLED)
SERVICES: dict[str, dict[str, Any]] = WHOLE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("runhooks:")}
ONE_SHOT = {"migrate"}


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def options(command: list[str]) -> dict[str, str | None]:
    """What the words after the program say: an option with its value, or without one."""
    found: dict[str, str | None] = {}
    for word, following in zip(command, [*command[1:], "--"], strict=True):
        if word.startswith("--"):
            found[word] = None if following.startswith("--") else following
    return found


def test_the_file_obeys_the_schema_of_the_compose_specification() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [*check, str(CHECKOUT / "docker-compose.yml")], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", sorted(demanded()))
def test_nothing_starts_without_a_variable_that_has_no_safe_default(name: str) -> None:
    with pytest.raises(Missing, match=name):
        compose(FILLED | {name: ""})


def test_the_example_has_every_variable_of_the_file_and_no_secret() -> None:
    given = example()

    assert named() - set(given) == {"RUNHOOKS_IMAGE"}
    assert demanded() <= set(given)
    assert {name for name, value in given.items() if not value} == set(SECRETS)


def test_every_variable_of_the_example_means_something() -> None:
    known = set(re.findall(r"`([A-Z_]+)`", (CHECKOUT / "docs" / "settings.md").read_text()))
    said = set(re.findall(r"^(?:# )?([A-Z_]+)=", EXAMPLE.read_text(), re.M))

    # That one is Docker Compose's own.
    assert said - known - named() == {"COMPOSE_PROFILES"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_is_started_again_watched_and_bounded(name: str) -> None:
    service = SERVICES[name]

    assert service["restart"] == ("no" if name in ONE_SHOT else "unless-stopped")
    if name in ONE_SHOT:
        assert service["healthcheck"] == {"disable": True}
    else:
        assert name == "api" or service["healthcheck"]["test"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    assert {"max-size", "max-file"} <= set(service["logging"]["options"])
    assert service["init"] is True


def test_one_service_builds_the_image_that_all_of_ours_run() -> None:
    assert [name for name, service in SERVICES.items() if "build" in service] == ["migrate"]
    assert len({service["image"] for service in OURS.values()}) == 1


def test_nothing_of_ours_starts_before_the_migrations_are_done() -> None:
    for name in set(OURS) - ONE_SHOT:
        assert OURS[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_every_queue_has_a_worker_and_the_background_has_one_of_its_own() -> None:
    queues = {
        name: (options(arguments(service["command"], ""))["--queues"] or "").split(",")
        for name, service in SERVICES.items()
        if name.startswith("worker")
    }

    taken = [queue for names in queues.values() for queue in names]
    assert sorted(taken) == sorted(QUEUES.split(","))
    assert tuple(queues["worker-background"]) == settings.CELERY_BROKER_TRANSPORT_OPTIONS["background_queues"]


def test_servers_and_workers_run_with_the_options_of_the_local_mode() -> None:
    """The benchmarks measure the local mode; what they say holds for this."""
    local = Applications(folder=Path("/folder"), env={})
    pairs = [
        (local.api("127.0.0.1", 8000), arguments(SERVICES["api"].get("command"), "CMD")),
        (local.worker(1, "loop", 512), arguments(SERVICES["worker"]["command"], "")),
        (local.beat(), arguments(SERVICES["beat"]["command"], "")),
    ]
    # The place, the number of processes, the name and the share of queues are the machine's.
    own = {"--bind", "--workers", "--hostname", "--queues", "--schedule", "--log-level", "--worker-tmp-dir"}
    for service, command in pairs:
        here, there = options(list(service.command)), options(command)
        assert {k: v for k, v in there.items() if k not in own} == {
            k: v for k, v in here.items() if k not in own
        }


def test_a_stop_waits_for_the_requests_that_are_under_way() -> None:
    longest = settings.DELIVERY_TIMEOUT_MAX_SECONDS + settings.DELIVERY_LEASE_MARGIN_SECONDS
    # delivery/loop: a second for each of four threads, five for the loop and for what finishes; the requeuer.
    afterwards = 4 * 1 + 5 + 5 + 5
    for name in ("worker", "worker-background"):
        assert seconds(SERVICES[name]["stop_grace_period"]) > longest + afterwards
    patience = options(arguments(None, "CMD"))["--graceful-timeout"]
    assert seconds(SERVICES["api"]["stop_grace_period"]) > int(patience or 0)


def test_only_the_proxy_and_the_api_for_it_are_reached_from_outside() -> None:
    assert WHOLE["networks"]["data"] == {"internal": True}
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"api", "proxy"}
    assert SERVICES["api"]["ports"] == ["127.0.0.1:8000:8000"]
    reaching = {name for name, service in SERVICES.items() if "outside" in service["networks"]}
    assert reaching == {"api", "worker", "worker-background", "proxy"}


def test_the_image_is_built_of_files_that_are_there_and_let_in() -> None:
    let_in = {
        line.removeprefix("!")
        for line in (CHECKOUT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }

    sources = {source for source, _ in copied()}
    assert sources | {"requirements/tracing.txt"} == let_in
    assert all((CHECKOUT / source).exists() for source in sources)


def test_the_image_holds_all_that_its_settings_name() -> None:
    apps = {app for app in settings.INSTALLED_APPS if (CHECKOUT / app).is_dir()}

    assert {*apps, "webhooks_project", "manage.py"} <= {source for source, _ in copied()}
    assert "collectstatic" in " ".join(rest for word, rest in instructions() if word == "RUN")
