"""Typed readers of the environment: the only place that touches `os.environ`.

Each reader raises `BadEnvironment` with the variable's name when the value is nonsense, so a
typing slip stops the start instead of becoming a default. Every variable may also be given as a
file, `NAME_FILE=/run/secrets/name`, as container platforms hand out secrets.
"""

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

TRUE_WORDS = {"1", "true", "yes", "on"}
FALSE_WORDS = {"0", "false", "no", "off"}
# prometheus_client's name for the folder of processes that count together.
MEASUREMENTS = "PROMETHEUS_MULTIPROC_DIR"


class BadEnvironment(Exception):
    """A variable is missing or its value makes no sense; the message names it."""


def choose_settings() -> None:
    """Name this project's settings module, unless the caller has named another."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webhooks_project.settings")


def measure_together(make_folder: Callable[[], str]) -> None:
    """Processes that are started from now on count together, unless somebody has named a folder for that."""
    if MEASUREMENTS not in os.environ:
        os.environ[MEASUREMENTS] = make_folder()


def _raw(name: str) -> str | None:
    value = os.environ.get(name)
    if value is not None:
        return value
    path = os.environ.get(f"{name}_FILE")
    if path is None:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BadEnvironment(f"{name}_FILE: cannot read {path}: {error.strerror}") from error


def text(name: str, default: str | None = None) -> str:
    """The variable, or `default`; an empty or absent variable without a default raises."""
    value = _raw(name)
    if value:
        return value
    if default is None:
        raise BadEnvironment(f"{name} is not set")
    return default


def flag(name: str, default: bool) -> bool:
    value = _raw(name)
    if value is None or value == "":
        return default
    if value.lower() in TRUE_WORDS:
        return True
    if value.lower() in FALSE_WORDS:
        return False
    raise BadEnvironment(f"{name} must be true or false, not {value!r}")


def integer(name: str, default: int, at_least: int = 0) -> int:
    value = _raw(name)
    if value is None or value == "":
        return default
    try:
        number = int(value)
    except ValueError:
        raise BadEnvironment(f"{name} must be a whole number, not {value!r}") from None
    if number < at_least:
        raise BadEnvironment(f"{name} must be at least {at_least}, not {number}")
    return number


def number(name: str, default: float, at_least: float = 0.0, at_most: float = 1e9) -> float:
    value = _raw(name)
    if value is None or value == "":
        return default
    try:
        parsed = float(value)
    except ValueError:
        raise BadEnvironment(f"{name} must be a number, not {value!r}") from None
    if not at_least <= parsed <= at_most:
        raise BadEnvironment(f"{name} must be a number from {at_least:g} to {at_most:g}, not {value!r}")
    return parsed


def url(name: str, value: str, schemes: tuple[str, ...]) -> str:
    """`value`, if it is a URL of one of the schemes with a host."""
    try:
        parts = urlsplit(value)
        # The port too: half a password with a `/` in it looks like one, and later errors would quote it.
        valid = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise BadEnvironment(
            f"{name} must be a URL that begins with {' or '.join(s + '://' for s in schemes)}"
        )
    return value


def words(name: str, default: str = "") -> list[str]:
    """A list separated by commas; blanks around the items do not count."""
    value = _raw(name)
    if value is None:
        value = default
    return [item.strip() for item in value.split(",") if item.strip()]


def choice(name: str, choices: tuple[str, ...], default: str) -> str:
    value = _raw(name) or default
    if value not in choices:
        raise BadEnvironment(f"{name} must be one of {', '.join(choices)}, not {value!r}")
    return value


def adopt_local_services(checkout: Path) -> None:
    """Let `manage.py` find the servers of a running `make serve`.

    `make serve` leaves the addresses and keys of its servers in `local.env` in its data folder and
    takes the file away when it stops. Variables that are already set win.
    """
    if "DATABASE_URL" in os.environ or "DATABASE_URL_FILE" in os.environ:
        return
    folder = Path(os.environ.get("DATA_DIR") or ".data")
    try:
        lines = (checkout / folder / "local.env").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        name, separator, value = line.partition("=")
        if separator:
            os.environ.setdefault(name, value)
