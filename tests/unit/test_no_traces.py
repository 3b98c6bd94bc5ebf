"""Without a collector nothing of OpenTelemetry takes part."""

import os
import subprocess
import sys

from local.files import CHECKOUT

# redis-py imports the beginnings of it by itself, where they are installed.
LOADED = """
import sys
import webhooks_project.asgi, delivery.worker, delivery.tasks, delivery.loop.dispatch
ours = ("webhooks_project.spans", "delivery.spans", "opentelemetry.sdk.trace", "opentelemetry.exporter")
print([name for name in sys.modules if name.startswith(ours)])
"""
MISSING = """
import sys
sys.modules["opentelemetry"] = None
import webhooks_project.settings
"""


def run(program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=CHECKOUT,
        env=env | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_nothing_of_it_is_imported() -> None:
    done = run(LOADED)

    assert done.stdout.strip() == "[]", done.stderr


def test_a_collector_without_the_packages_stops_the_start_and_says_so() -> None:
    done = run(MISSING, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318")

    assert "OTEL_EXPORTER_OTLP_ENDPOINT: the packages of requirements/tracing.txt" in done.stderr
