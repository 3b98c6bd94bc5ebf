"""Re-encrypts what other keys than the first one encrypted: docs/operations.md has the whole procedure."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from subscriptions import encrypted, rotation, sealing

NAMED_MAX = 20


class Command(BaseCommand):
    help = "Bring all that is encrypted under the first of ENCRYPTION_KEYS. Can be run again at any time."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--check",
            action="store_true",
            help="Change nothing; exit status 0 only if the first key alone opens everything.",
        )

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        if plain := sealing.seal_all(check=check):
            self.stdout.write(f"{plain} URLs with a plain query {'are to be' if check else 'were'} sealed")
        tallies = {str(column): self._column(column, check) for column in encrypted.columns()}
        closed = [f"{name} {pk}" for name, tally in tallies.items() for pk in tally.closed]
        left = sum(tally.left for tally in tallies.values())
        self.stdout.write(
            f"{sum(tally.changed for tally in tallies.values())} re-encrypted, "
            f"{sum(tally.under_first_key for tally in tallies.values())} under the first key already, "
            f"{left} under another key, {len(closed)} that no key opens"
        )
        if closed:
            named = ", ".join(closed[:NAMED_MAX]) + (" and more" if len(closed) > NAMED_MAX else "")
            raise CommandError(
                f"no key of ENCRYPTION_KEYS opens {named}: bring the old key back, at the end of the list"
            )
        if left:
            raise CommandError("do not take the other keys away yet: run this without --check")

    def _column(self, column: encrypted.EncryptedColumn, check: bool) -> rotation.Tally:
        terminal = self.stdout.isatty()

        def progress(tally: rotation.Tally) -> None:
            if terminal:
                self.stdout.write(f"\r{column}: {tally.seen}", ending="")
                self.stdout.flush()

        tally = rotation.rotate(column, check=check, progress=progress)
        if terminal:
            self.stdout.write(f"\r{column}: {tally.seen}")
        return tally
