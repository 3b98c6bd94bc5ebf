"""`make demo`: start everything, report real runs, show what became of them, and check it."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from demo.report import Account, judge, timeline
from demo.scenario import Http, Scenario
from local.errors import StartFailed
from local.stack import Stack, StackConfig
from local.temporary import folder

# The failing receiver's waits are 1 and 2 s; the rest is room for a slow machine.
DELIVERIES_END_WITHIN_SECONDS = 60
LOOK_EVERY_SECONDS = 0.2


def main() -> int:
    started = time.monotonic()
    print("starting PostgreSQL, Valkey, the API, workers and beat on free ports …", flush=True)
    with folder() as data, Stack(StackConfig(data_dir=data)) as stack, receivers() as receiver_url:
        ready = time.monotonic()
        print(
            f"ready after {ready - started:.1f} s at {stack.base_url} (local mode: http to loopback allowed)"
        )
        key = stack.manage("create_api_key", "--organization", "demo", "--scopes", "all").strip()
        scenario = Scenario(
            api=Http(stack.base_url, key), receiver=Http(receiver_url), receiver_url=receiver_url
        )
        scenario.subscribe()
        print("4 targets: /standard, /elan, /flaky (503 twice per event), and a callback per run", flush=True)
        scenario.report_leap_runs()
        scenario.report_three_steps()
        account = watch(scenario, services_started=started)
        record = scenario.receiver.get("/_record")
        for run, events in account.events.items():
            print(timeline(scenario.runs[run], run, events))
        verdict = judge(account, record, scenario.golden)
    print()
    for problem in verdict.problems:
        print(f"PROBLEM: {problem}")
    print(
        f"demo: {verdict.events} events, {verdict.deliveries} deliveries, {verdict.verified} verified, "
        f"{verdict.retried} retried, {verdict.lost} lost in {time.monotonic() - started:.1f} s"
    )
    return 1 if verdict.problems or not verdict.retried or verdict.verified < verdict.deliveries else 0


def watch(scenario: Scenario, *, services_started: float) -> Account:
    """Tell of each request as the receivers see it, until every delivery has ended."""
    told = 0
    ends = time.monotonic() + DELIVERIES_END_WITHIN_SECONDS
    while True:
        record = scenario.receiver.get("/_record")
        if told == 0 and record:
            seconds = time.monotonic() - services_started
            print(f"first webhook within {seconds:.1f} s of the start of the services")
        for entry in record[told:]:
            verified = "verified" if entry["verified"] else "BAD SIGNATURE"
            print(
                f"  {entry['path']:<16} {entry['webhook_id']}  {verified}, answered {entry['status']}",
                flush=True,
            )
        told = len(record)
        account = Account(
            {run: scenario.api.get(f"/v1/runs/{run}/webhooks")["events"] for run in scenario.runs}
        )
        if account.ended or time.monotonic() > ends:
            return account
        time.sleep(LOOK_EVERY_SECONDS)


@contextmanager
def receivers() -> Iterator[str]:
    """The receivers' process; its base URL."""
    process = subprocess.Popen([sys.executable, "-m", "demo.receiver"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.wait(10)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except StartFailed as error:
        print(f"demo: {error}", file=sys.stderr)
        sys.exit(1)
