"""What is installed is what was locked, under licences that allow it, in an image without privileges."""

import json
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deployment import compose, demanded, example, instructions
from tests.locks import REQUIREMENTS, locked, wanted

CHECKOUT = Path(__file__).parent.parent.parent
LOCKS = ["production", "tracing", "development", "clients", "audit"]
# Each lets anyone use, change and pass on the product as a whole.
ALLOWED_LICENSES = {
    *(
        "MIT",
        "MIT License",
        "MIT-0",
        "BSD License",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSD 3-Clause",
        "3-Clause BSD License",
    ),
    *(
        "Apache-2.0",
        "Apache Software License",
        "PSF-2.0",
        "Python Software Foundation License",
        "DFSG approved",
    ),
    # Weak copyleft by file: a change of their files stays open, ours are not touched by it.
    *("MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)"),
}
LICENSE_EXCEPTIONS = {
    "psycopg2-binary": "LGPL with exceptions: imported as it is, in a wheel that anyone may exchange, never "
    "changed and never linked into our files; Django has no other mature driver for PostgreSQL in C",
}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_pinned_by_hashes(lock: str) -> None:
    pinned = locked(lock)

    assert pinned
    for requirement in pinned:
        assert requirement.hashes, requirement.name
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", text) for text in requirement.hashes)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_all_that_is_asked_for_and_names_no_index(lock: str) -> None:
    text = (REQUIREMENTS / f"{lock}.txt").read_text()

    assert wanted(lock) <= {requirement.name for requirement in locked(lock)}
    assert "://" not in text
    assert not re.search(r"^-", text, re.M)


def test_what_is_tested_is_what_runs_in_production() -> None:
    tested = {requirement.name: requirement for requirement in locked("development")}

    assert [pinned for pinned in locked("production") if tested.get(pinned.name) != pinned] == []


def test_the_npm_lock_pins_every_package_by_its_hash() -> None:
    folder = REQUIREMENTS / "clients-npm"
    lock = json.loads((folder / "package-lock.json").read_text())
    asked = json.loads((folder / "package.json").read_text())

    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert lock["packages"][""]["dependencies"] == asked["dependencies"]


@pytest.mark.parametrize("file", ["Makefile", "Dockerfile", "deploy/tracing.Dockerfile"])
def test_nothing_is_installed_but_from_a_lock_with_hashes(file: str) -> None:
    text = (CHECKOUT / file).read_text().replace("\\\n", " ")
    installs = [line for line in text.splitlines() if re.search(r"\bpip install\b", line)]

    assert installs
    for line in installs:
        for command in re.findall(r"pip install\b[^&|;]*", line):
            assert "--require-hashes" in command, command
            assert re.search(r"-r requirements/\w+\.txt", command), command
    assert not re.search(r"\bnpm install\b(?!.*--package-lock-only)", text)


def test_the_project_itself_asks_for_nothing_beside_the_locks() -> None:
    project = (CHECKOUT / "pyproject.toml").read_text()

    assert 'dynamic = ["dependencies"]' in project
    assert "\ndependencies" not in project
    assert "optional-dependencies" not in project


def licenses_of(name: str) -> set[str]:
    """What the installed package says of itself: its SPDX expression, else its classifiers or field."""
    about = metadata.metadata(name).json
    named = [text.rsplit(" :: ", 1)[-1] for text in about.get("classifier", []) if "License ::" in text]
    said = about.get("license_expression") or ";".join(named) or about["license"]
    # An expression may group some of them; a classifier has a parenthesis of its own.
    parts = [part.strip() for part in re.split(r" AND | OR |;", str(said).splitlines()[0])]
    return {part if part.count("(") == part.count(")") else part.strip("()") for part in parts}


@pytest.mark.parametrize(
    "name", sorted({pinned.name for pinned in locked("development") if pinned.is_for_here})
)
def test_the_licence_of_every_package_is_allowed(name: str) -> None:
    found = licenses_of(name)

    assert found <= ALLOWED_LICENSES or name in LICENSE_EXCEPTIONS, found


def test_an_exception_from_the_licences_is_still_needed() -> None:
    for name in LICENSE_EXCEPTIONS:
        assert not licenses_of(name) <= ALLOWED_LICENSES


def test_the_image_runs_as_an_unprivileged_user_and_holds_no_secret() -> None:
    steps = instructions()
    users = [rest for word, rest in steps if word == "USER"]

    made = [rest for word, rest in steps if word == "RUN"][-1]
    assert users == ["10001"]
    assert made.startswith(f"useradd --system --uid {users[0]} ")
    assert [word for word, _ in steps].index("USER") > max(
        number for number, (word, _) in enumerate(steps) if word == "RUN"
    )
    assert "ARG" not in {word for word, _ in steps}
    for word, rest in steps:
        if word == "ENV":
            assert not re.search(r"KEY|SECRET|PASSWORD|TOKEN", rest)
        # Folder by folder: neither `.env` nor `.git` nor local data can slip in.
        if word in ("COPY", "ADD"):
            assert word == "COPY"
            assert rest.split()[0] != "."


SERVICES: dict[str, dict[str, Any]] = compose(example() | dict.fromkeys(demanded(), "filled-in"))["services"]
# What they run as; caddy's image knows no other account, and may open ports below 1024 and nothing else.
ACCOUNTS = {"postgres": "postgres", "valkey": "valkey", "backup": "postgres", "proxy": None}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_has_no_more_privileges_than_it_needs(name: str) -> None:
    service = SERVICES[name]

    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert not service.get("privileged")
    assert service.get("user") == ACCOUNTS.get(name)
    assert service.get("cap_add") == (["NET_BIND_SERVICE"] if name == "proxy" else None)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_images_are_pinned_to_a_version(name: str) -> None:
    bases = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    for image in [SERVICES[name]["image"], *bases]:
        assert re.fullmatch(r"[a-z/]+:\d[\w.-]*", image), image


def test_secrets_come_from_the_environment_of_the_operator() -> None:
    services = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())["services"]
    for service in services.values():
        for variable, value in (service.get("environment") or {}).items():
            if re.search(r"KEY|SECRET|PASSWORD|AUTH|DATABASE_URL|BROKER_URL", variable):
                assert "${" in value, variable
