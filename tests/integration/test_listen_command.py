"""`manage.py listen` and `manage.py send_test` as a developer uses them, one beside the other."""

import io
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, connections

from delivery.custom_events import custom_event
from delivery.listener.verifying import Keys
from delivery.management.commands import listen as command
from delivery.models import Attempt, Delivery
from local import temporary
from local.files import CHECKOUT
from local.manage import environment
from subscriptions.models import AuditEntry, Organization, Subscription
from tests.integration.test_sender import closed_port
from tests.receiver import Receiver, Reply

Subscribe = Callable[..., Subscription]


class Listening:
    """`manage.py listen` in a thread, on a free port."""

    def __init__(self, *arguments: str) -> None:
        self._out, self._err = io.StringIO(), io.StringIO()
        self._thread = threading.Thread(target=self._run, args=(arguments,), daemon=True)
        self._thread.start()
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+)/", self._err.getvalue())):
            assert self._thread.is_alive()
            self._thread.join(0.01)
        self.url = found.group(0)

    def _run(self, arguments: tuple[str, ...]) -> None:
        try:
            call_command("listen", "0", *arguments, stdout=self._out, stderr=self._err)
        finally:
            connections.close_all()

    def told(self) -> tuple[str, str]:
        """What it printed once it has ended."""
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self._out.getvalue(), self._err.getvalue()


def send_test(*arguments: str) -> str:
    out = io.StringIO()
    call_command("send_test", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def failing_send_test(*arguments: str) -> str:
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("send_test", *arguments, stdout=out, stderr=io.StringIO())
    assert ended.value.code == 1
    return out.getvalue()


def test_a_test_event_arrives_genuine_with_the_keys_kept_here(
    subscribe: Subscribe, organization: Organization, worker: None
) -> None:
    listening = Listening("--organization", organization.name, "--count", "1")
    schemes = ["standard_webhooks", "standard_webhooks_ed25519", "hmac_sha256_hex"]
    made = subscribe(url=listening.url, secret="a secret of theirs", signature_schemes=schemes)

    told = send_test(str(made.pk))
    out, err = listening.told()

    assert re.search(r"^answered 204 after \d+ ms$", told, re.MULTILINE)
    for scheme in schemes:
        assert f"{scheme}: genuine" in out
    assert "workflow.completed" in out
    assert f'"organization_id": "{organization.public_id}"' in out
    assert err.endswith("1 webhook: 1 genuine\n")
    assert AuditEntry.objects.filter(action="subscription.tested", actor="send_test").count() == 1


def test_it_answers_in_turn_and_notices_what_comes_again(
    subscribe: Subscribe, organization: Organization, attempt: Callable[..., Any]
) -> None:
    listening = Listening("--brief", "--answer", "500,503,200", "--delay", "0.05,0", "--count", "4")
    subscribe(url=listening.url, events=["a.b"], retry_schedule=[0.001, 0.001])
    for number in (1, 2):
        event = custom_event(organization=organization, event_type="a.b", data={}, event_id=f"e{number}")
        delivery = Delivery.objects.get(event=event)
        for tried in (1, 2, 3) if number == 1 else (1,):
            Delivery.objects.filter(pk=delivery.pk).update(next_attempt_at="2026-01-01T00:00:00Z")
            attempt(delivery, tried)

    out, err = listening.told()

    assert [line.split("->")[1].strip() for line in out.splitlines()] == [
        "500 after 0.05 s",
        "503",
        "200",
        "200",
    ]
    assert [line.count("(time ") for line in out.splitlines()] == [0, 1, 1, 0]
    assert "signatures are not checked" in err
    assert err.endswith("4 webhooks: 4 not checked, 2 repeated\n")
    assert list(Attempt.objects.order_by("id").values_list("status_code", flat=True)) == [500, 503, 200, 200]


@pytest.mark.parametrize(
    ("options", "keys", "verdict"),
    [
        (["--scheme", "hmac_sha256_hex", "--secret", "s"], ["--secret", "s"], "hmac_sha256_hex: genuine"),
        (["--scheme", "skyvern", "--secret", "s"], ["--secret", "s"], "skyvern: genuine"),
        (["--scheme", "shared_secret", "--secret", "s"], ["--secret", "t"], "shared_secret: forged"),
        (["--format", "leap_v2"], ["--secret", "s"], "unsigned"),
        (["--scheme", "hmac_sha256_hex", "--secret", "s"], [], "hmac_sha256_hex: no key to check it with"),
    ],
)
def test_any_url_gets_what_is_signed_as_chosen(options: list[str], keys: list[str], verdict: str) -> None:
    listening = Listening("--json", "--count", "1", *keys)

    send_test("--url", listening.url, *options)
    out, _ = listening.told()

    told = json.loads(out)
    said = ", ".join(f"{scheme}: {found}" for scheme, found in told["signatures"].items()) or "unsigned"
    assert (said, told["path"], told["status"]) == (verdict, "/", 204)
    assert told["webhook_id"].startswith("evt_")
    assert not Delivery.objects.exists()


def test_what_is_forwarded_is_answered_by_the_other_receiver(receiver: Receiver) -> None:
    receiver.reply(Reply(422, {"Content-Type": "application/json"}, b'{"no": 1}'), path="/in?a=b")
    listening = Listening("--forward", str(receiver.port), "--brief", "--count", "1")

    told = failing_send_test(
        "--url", f"{listening.url}in?a=b", "--scheme", "hmac_sha256_hex", "--secret", "s"
    )
    out, _ = listening.told()

    (request,) = receiver.at("/in?a=b")
    assert request.headers["X-Webhook-Signature"]
    assert request.headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert "answered 422" in told
    assert '{"no": 1}' in told
    assert f"-> 422 (from port {receiver.port})" in out


def test_a_port_that_nobody_listens_on_is_a_bad_gateway() -> None:
    listening = Listening("--forward", str(closed_port()), "--brief", "--count", "1")

    assert "answered 502" in failing_send_test("--url", listening.url)
    assert "-> 502" in listening.told()[0]


def test_a_test_that_no_worker_sends_says_what_to_do(subscribe: Subscribe, settings: Any) -> None:
    settings.DELIVERY_WAIT_MARGIN_SECONDS = 0.0
    made = subscribe(timeout_seconds=0.1)

    with pytest.raises(CommandError, match=r"no worker has sent it within 0\.1 s: `manage.py doctor`"):
        send_test(str(made.pk))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name either"),
        (["1", "--url", "http://127.0.0.1/"], "name either"),
        (["17"], "^no subscription '17'"),
        (["1", "--format", "standard"], "--format: a subscription has its own"),
        (["--url", "http://127.0.0.1:9/", "--scheme", "skyvern"], "--secret: skyvern signs with one"),
        (["--url", "http://127.0.0.1:9/", "--scheme", "standard_webhooks", "--secret", "x"], "whsec_"),
        (["--url", "http://10.0.0.1/"], "no answer: The target address is not allowed"),
    ],
)
def test_nonsense_is_refused_with_the_reason(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        send_test(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["65536"], "port from 0 to 65535"),
        (["--answer", "500,99"], "'99' is not a status"),
        (["--delay", "-1"], "--delay"),
        (["--host", "localhost"], "not an IPv4 address"),
        (["--secret", "whsec_x"], "--secret: what follows whsec_"),
        (["--subscription", "17"], "no subscription '17'"),
        (["--organization", "nobody"], "no organization 'nobody'"),
        (["--secret", ""], "it is empty"),
        (["--secret", "s", "65536"], "port from 0 to 65535"),
    ],
)
def test_a_listener_that_cannot_be_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("listen", *arguments)


@pytest.mark.parametrize("secret", ["whpk_a text of theirs", "whsec_a text of theirs"])
def test_a_text_kept_here_that_begins_as_a_key_is_a_text(
    subscribe: Subscribe, organization: Organization, worker: None, secret: str
) -> None:
    listening = Listening("--organization", organization.name, "--brief", "--count", "1")
    made = subscribe(url=listening.url, secret=secret, signature_schemes=["hmac_sha256_hex"])

    send_test(str(made.pk))

    assert "hmac_sha256_hex: genuine" in listening.told()[0]


def answered(listening: Listening, request: bytes) -> str:
    """The first line of what a sender gets that sends this and no more."""
    port = int(listening.url.rstrip("/").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connected:
        connected.sendall(request)
        connected.shutdown(socket.SHUT_WR)
        with connected.makefile(encoding="latin-1") as lines:
            return lines.readline().partition(" ")[2].strip()


def test_what_is_no_whole_webhook_is_no_webhook(capfd: pytest.CaptureFixture[str]) -> None:
    listening = Listening("--brief", "--count", "1")

    for head, status in {
        "POST / HTTP/1.1\r\n": "411",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n": "411",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n": "411",
        "POST / HTTP/1.1\r\nContent-Length: \xb2\r\n": "400",
        "POST / HTTP/1.1\r\nContent-Length: -1\r\n": "400",
        f"POST / HTTP/1.1\r\nContent-Length: {'9' * 5000}\r\n": "413",
        "POST / HTTP/1.1\r\nContent-Length: 3\r\n": "",
        # Handed on, it would be another port.
        "POST 1/ HTTP/1.1\r\nContent-Length: 2\r\n": "400",
    }.items():
        assert answered(listening, f"{head}\r\n{{}}".encode("latin-1"))[:3] == status, head
    assert answered(listening, b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")[:3] == "204"

    assert len(listening.told()[0].splitlines()) == 1
    assert "Traceback" not in capfd.readouterr().err


def test_it_goes_on_with_the_keys_read_last_while_the_database_is_away(
    subscribe: Subscribe, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> Keys:
        raise OperationalError("the server closed the connection")

    subscribe(secret="a secret of theirs", signature_schemes=["hmac_sha256_hex"])
    listening = Listening("--organization", organization.name, "--brief", "--count", "1")
    monkeypatch.setattr(command, "keys_in_force", away)

    send_test("--url", listening.url, "--scheme", "hmac_sha256_hex", "--secret", "a secret of theirs")

    assert "hmac_sha256_hex: genuine" in listening.told()[0]


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with temporary.folder() as folder:
        url = "postgres://{USER}@{HOST}:{PORT}/{NAME}".format_map(connection.settings_dict)
        process = subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=CHECKOUT,
            env=environment("local", url, folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize(("more", "status"), [([], 0), (["--count", "5"], 130)])
def test_ctrl_c_ends_it_with_a_summary(more: list[str], status: int) -> None:
    with started("listen", "0", *more) as process:
        assert process.stderr is not None
        assert "\x1b" not in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)

    assert (process.returncode, out) == (status, "")
    assert err.endswith("0 webhooks\n")
    assert "Traceback" not in err


def test_it_ends_when_nobody_reads_what_it_prints() -> None:
    with started("listen", "0", "--brief") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        greeting = process.stderr.readline()
        process.stdout.close()
        send_test("--url", greeting.split()[2])
        process.wait(20)
        err = process.stderr.read()

    assert process.returncode == 0
    assert err.endswith("1 webhook: 1 not checked\n")
    assert "Error" not in err
