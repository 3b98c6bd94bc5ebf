"""Settings, read once from the environment. Limits carry their unit in the name.

Three modes (`RUNHOOKS_MODE`): `production` (the default) demands servers and secrets from the
environment; `local` is what `make serve` and `make demo` run; `test` is for the test suite.
docs/settings.md has the table of all variables; `delivery/checks.py` holds them against each other.
"""

# ruff: noqa: F403 - one flat namespace is what Django reads
from webhooks_project.settings.api import *
from webhooks_project.settings.base import *
from webhooks_project.settings.databases import *
from webhooks_project.settings.delivery import *
from webhooks_project.settings.health import *
from webhooks_project.settings.pages import *
from webhooks_project.settings.queue import *
