"""What commands that change something have in common."""

from typing import Any

from django.core.management.base import BaseCommand

from subscriptions import audit
from subscriptions.audit_entry import ActorKind


class AuditedCommand(BaseCommand):
    """Its changes are noted under its own name."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        name = type(self).__module__.rpartition(".")[2]
        with audit.acting(lambda: audit.Actor(ActorKind.COMMAND, name)):
            return super().execute(*args, **options)
