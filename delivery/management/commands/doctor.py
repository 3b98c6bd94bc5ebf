"""Looks at everything that delivery needs and says what is wrong and what to do about it."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from delivery import doctor
from delivery.doctor.finding import ORDER, Finding, Level


class Command(BaseCommand):
    help = "Check database, broker, workers, beat, clocks and rows. Exit status 1 if something is wrong."
    # They are among the findings.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="The findings as JSON, for programs.")
        parser.add_argument("--strict", action="store_true", help="Warnings count as errors.")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = doctor.examine()
        level = doctor.worst(findings)
        if options["json"]:
            found = [asdict(finding) for finding in findings]
            self.stdout.write(json.dumps({"status": level, "findings": found}, indent=2))
        else:
            self._print(findings)
        if level is Level.ERROR or (options["strict"] and level is Level.WARNING):
            raise SystemExit(1)

    def _print(self, findings: list[Finding]) -> None:
        """A line each, problems first."""
        width = max(len(finding.id) for finding in findings)
        # Colours of a terminal; none elsewhere, see BaseCommand's --no-color.
        styles = {
            Level.ERROR: self.style.ERROR,
            Level.WARNING: self.style.WARNING,
            Level.OK: self.style.SUCCESS,
        }
        for finding in sorted(findings, key=lambda finding: ORDER.index(finding.level)):
            todo = f". {finding.todo}" if finding.todo else ""
            level = styles[finding.level](f"{finding.level:<7}")
            self.stdout.write(f"{level}  {finding.id:<{width}}  {finding.what.rstrip('.?')}{todo}")
        counts = ((level, sum(finding.level is level for finding in findings)) for level in ORDER)
        self.stdout.write(", ".join(f"{count} {level}" for level, count in counts))
