"""Django's command line, on the servers named by the environment or those of `make serve`."""

import sys
from pathlib import Path

from django.core.management import execute_from_command_line
from django.db import InterfaceError, OperationalError

from webhooks_project.env import BadEnvironment, adopt_local_services, choose_settings


def main() -> None:
    adopt_local_services(Path(__file__).resolve().parent)
    choose_settings()
    try:
        execute_from_command_line(sys.argv)
    except BadEnvironment as error:
        sys.exit(
            f"{error}\nNo `make serve` runs on this DATA_DIR, or DATABASE_URL is set and so it is not asked; "
            "docs/settings.md has the variables."
        )
    except (OperationalError, InterfaceError) as error:
        if "--traceback" in sys.argv:
            raise
        # A hundred lines of where it was would hide what it is.
        sys.exit(f"the database: {str(error).strip()}")
    except KeyboardInterrupt:
        # Whoever stops a command needs no trace of where it was; 130 is what shells say of one that was.
        sys.exit(130)


if __name__ == "__main__":
    main()
