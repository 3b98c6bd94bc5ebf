"""Load with runs as executors report them, for trying receivers, workers and plots."""

import signal
import time
from argparse import ArgumentParser, ArgumentTypeError
from random import Random, SystemRandom
from typing import Any

from django.core.management.base import CommandError

from delivery.management.long import INTERRUPTED, ProgressLine, duration, interruption
from delivery.management.replay_options import parse, parse_organization
from runs.dialects import names as dialect_names
from runs.services import workflow_for
from runs.simulation.load import Simulation
from runs.simulation.plan import STEPS, Plan
from runs.states import RunStatus
from subscriptions.management.audited import AuditedCommand
from webhooks_project.errors import DomainError

# What has come due since the last look is reported together.
LOOK_SECONDS = 0.02
SHOWN_EVERY_SECONDS = 0.5
# A closed terminal among them: runs that nobody would ever end are not left behind.
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Command(AuditedCommand):
    help = "Report made-up runs with steps, durations and failures; subscriptions are told as of any others."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--organization", required=True, metavar="NAME_OR_ID")
        parser.add_argument(
            "--runs", type=_whole(1, 10_000_000), default=20, metavar="N", help="Default: 20."
        )
        parser.add_argument(
            "--rate",
            type=_within(0.01, 1000),
            default=2.0,
            metavar="N",
            help="New runs per second; default: 2.",
        )
        parser.add_argument(
            "--steps",
            type=_whole(1, len(STEPS)),
            default=4,
            metavar="N",
            help="Of a run at most; default: 4.",
        )
        parser.add_argument(
            "--step-seconds", type=_within(0, 3600), default=1.0, metavar="N", help="On average; default: 1."
        )
        parser.add_argument(
            "--failing",
            type=_within(0, 100),
            default=10.0,
            metavar="PERCENT",
            help="Of the runs; default: 10.",
        )
        parser.add_argument("--dialect", choices=dialect_names(), default="elan", help="Default: elan.")
        parser.add_argument("--seed", metavar="TEXT", help="The same seed makes the same runs.")

    def handle(self, *args: Any, **options: Any) -> None:
        organization = parse(options, "organization", parse_organization)
        assert organization is not None
        plan = Plan(
            runs=options["runs"],
            runs_per_second=options["rate"],
            steps_max=options["steps"],
            step_seconds=options["step_seconds"],
            failing=options["failing"] / 100,
        )
        dialect, seed = options["dialect"], options["seed"]
        try:
            slug = f"simulation-{dialect}"
            workflow = workflow_for(organization=organization, dialect=dialect, slug=slug, name="Simulation")
            random = SystemRandom() if seed is None else Random(seed)  # noqa: S311 - no secret is made of it
            simulation = Simulation(organization, workflow, plan, random)
            self._carry_out(simulation, plan)
        except DomainError as error:
            raise CommandError(error.detail) from error

    def _carry_out(self, simulation: Simulation, plan: Plan) -> None:
        began = time.monotonic()
        line, shown = ProgressLine(self.stderr), began
        with interruption(*ENDS) as interrupted:
            try:
                while not simulation.is_done and not interrupted.is_set():
                    simulation.advance(time.monotonic() - began)
                    if time.monotonic() - shown >= SHOWN_EVERY_SECONDS:
                        shown = time.monotonic()
                        line.show(_progress(simulation, plan, shown - began))
                    interrupted.wait(LOOK_SECONDS)
            finally:
                # Also if a report is refused, or the terminal is gone.
                cancelled = len(simulation.under_way)
                simulation.cancel_all()
        line.end()
        self.stdout.write(_summary(simulation, time.monotonic() - began))
        if interrupted.is_set():
            self.stdout.write(f"interrupted; {cancelled:,} of them were under way and are cancelled")
            raise SystemExit(INTERRUPTED)


def _progress(simulation: Simulation, plan: Plan, elapsed: float) -> str:
    """With what is left at the present pace."""
    ended = simulation.ended.total()
    text = f"{simulation.begun:,} of {plan.runs:,} runs begun, {ended:,} ended"
    return f"{text}, {duration((plan.runs - ended) * elapsed / ended)} left" if ended else text


def _summary(simulation: Simulation, elapsed: float) -> str:
    ends = ", ".join(
        f"{simulation.ended[status]:,} {status}" for status in RunStatus if simulation.ended[status]
    )
    rate = simulation.begun / max(elapsed, 0.001)
    return (
        f"{simulation.begun:,} runs in {elapsed:.1f} s ({rate:.1f} a second): {ends or 'none ended'}; "
        f"{simulation.steps:,} steps"
    )


def _whole(least: int, most: int) -> Any:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 12 and least <= int(text) <= most):
            raise ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most:,}")
        return int(text)

    return read


def _within(least: float, most: float) -> Any:
    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise ArgumentTypeError(f"{text!r} is not a number from {least:g} to {most:g}")
        return number

    return read
