"""Django's command line, on the servers named by the environment or those of `make serve`."""

import sys
from pathlib import Path

from django.core.management import execute_from_command_line

from webhooks_project.env import adopt_local_services, choose_settings


def main() -> None:
    adopt_local_services(Path(__file__).resolve().parent)
    choose_settings()
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
