"""docs/api.md lists every code of an error that callers can be answered with."""

import re
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent.parent
CODES = re.compile(
    r'\b(?:code|default_code)(?:: [\w\[\]]+)? = "([a-z_]+)"'
    r'|\bcode="([a-z_]+)"'
    r'|\bbody\([^()]*"([a-z_]+)"\)'
)
# Not answers of the API: bases of others, a form of the admin, a command.
OTHERS = {"error", "conflict", "too_many_log_ins", "key_taken"}


def raised() -> set[str]:
    found: set[str] = set()
    for app in ("webhooks_project", "subscriptions", "delivery", "runs", "portal/api"):
        for path in (CHECKOUT / app).rglob("*.py"):
            if not {"migrations", "admin", "openapi_errors.py"} & set(path.parts):
                found |= {code for codes in CODES.findall(path.read_text()) for code in codes if code}
    return found - OTHERS


def documented() -> set[str]:
    section = (CHECKOUT / "docs/api.md").read_text().split("## Errors")[1].split("\n## ")[0]
    rows = [line.split("|")[2] for line in section.splitlines() if line.startswith("| ")]
    return set(re.findall(r"`([a-z_]+)`", " ".join(rows)))


def test_every_code_of_an_error_is_documented() -> None:
    assert len(raised()) > 50
    assert raised() - documented() == set()


def test_no_code_is_documented_that_nothing_answers() -> None:
    from rest_framework import exceptions, fields, serializers

    frameworks = {
        code
        for module in (exceptions, fields, serializers)
        for kind in vars(module).values()
        if isinstance(kind, type)
        for code in (*getattr(kind, "default_error_messages", {}), getattr(kind, "default_code", ""))
    }

    assert documented() - raised() - frameworks - {"allow_downgrade"} == set()
