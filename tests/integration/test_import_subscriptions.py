"""`manage.py import_subscriptions`: what receivers know of another system stays as it is."""

import hashlib
import hmac
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError
from standardwebhooks import Webhook

from delivery.custom_events import custom_event
from subscriptions.keys import new_standard_secret
from subscriptions.models import AuditEntry, Organization, Subscription
from tests.integration.test_commands import run
from tests.receiver import Receiver

TEXT = "what their receiver knows"
Importing = Callable[..., tuple[str, str]]


@pytest.fixture
def importing(organization: Organization, tmp_path: Path) -> Importing:
    """Import these lines; what was printed."""

    def do(*lines: dict[str, Any] | str, options: tuple[str, ...] = ()) -> tuple[str, str]:
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        file = tmp_path / "subscriptions.jsonl"
        file.write_text("\n".join(texts) + "\n")
        return run("import_subscriptions", str(file), "--organization", organization.name, *options)

    return do


def line(name: str = "Shop", **values: Any) -> dict[str, Any]:
    return {"name": name, "url": f"https://{name.lower()}.example/hook", "events": ["order.paid"]} | values


@pytest.fixture
def received(
    organization: Organization, receiver: Receiver, attempt: Callable[..., Any]
) -> Callable[[], tuple[dict[str, str], bytes]]:
    """Tell the organization's subscription of an event; the headers and body that its receiver got."""

    def get() -> tuple[dict[str, str], bytes]:
        event = custom_event(organization=organization, event_type="order.paid", data={"n": 1}, event_id=None)
        attempt(event.deliveries.get())
        (request,) = receiver.wait_for(1)
        return {name.lower(): value for name, value in request.headers.items()}, request.body

    return get


def test_a_receiver_goes_on_verifying_with_the_text_that_it_knows(
    importing: Importing, receiver: Receiver, received: Callable[[], tuple[dict[str, str], bytes]]
) -> None:
    importing(line(url=receiver.url(), secret=TEXT, signature_schemes=["hmac_sha256_hex"]))

    headers, body = received()

    assert headers["x-webhook-signature"] == hmac.new(TEXT.encode(), body, hashlib.sha256).hexdigest()


def test_a_receiver_goes_on_verifying_with_the_standard_webhooks_secret_that_it_knows(
    importing: Importing, receiver: Receiver, received: Callable[[], tuple[dict[str, str], bytes]]
) -> None:
    secret = new_standard_secret()
    importing(line(url=receiver.url(), secret=secret, signature_schemes=["standard_webhooks"]))

    headers, body = received()

    assert Webhook(secret).verify(body, headers)


def test_all_that_the_api_takes_is_taken(importing: Importing) -> None:
    importing(
        line(
            events=["workflow.completed"],
            url="https://shop.example/hook?token=hush-hush",
            is_active=False,
            retry_schedule=[1, 2],
            rate_limit_per_second=5,
            headers={"X-Tenant": "7"},
            payload_format="leap_v2",
        )
    )

    made = Subscription.objects.get()
    assert (made.full_url, made.is_active) == ("https://shop.example/hook?token=hush-hush", False)
    assert (made.retry_schedule, made.rate_limit_per_second) == ([1, 2], 5)
    assert (made.header_names, made.payload_format) == (["X-Tenant"], "leap_v2")


def test_a_new_secret_is_told_only_where_none_was_brought_that_signs(importing: Importing) -> None:
    brought = new_standard_secret()

    out, err = importing(
        line("A", secret=brought),
        line("B"),
        line("C", secret=TEXT, signature_schemes=["hmac_sha256_hex"]),
    )

    told = {one["name"]: one for one in map(json.loads, out.splitlines())}
    assert told["B"]["signing_secret"].startswith("whsec_")
    assert ["signing_secret" in told[name] for name in "AC"] == [False, False]
    assert brought not in out + err
    assert TEXT not in out + err
    assert err == "created 3, 0 were there already\n"


def test_the_same_file_again_changes_nothing(importing: Importing) -> None:
    lines = line("A", secret=TEXT), line("B", url="https://b.example/?token=hush-hush")
    importing(*lines)
    before = list(Subscription.objects.order_by("id").values())

    out, err = importing(*lines, line("C"))

    assert [json.loads(one)["name"] for one in out.splitlines()] == ["C"]
    assert err == "created 1, 2 were there already\n"
    assert list(Subscription.objects.exclude(name="C").order_by("id").values()) == before


def test_a_dry_run_leaves_nothing_behind(importing: Importing) -> None:
    out, err = importing(line("A"), line("B"), options=("--dry-run",))

    assert (out, err) == ("", "would create 2, 0 were there already\n")
    assert not Subscription.objects.exists()
    assert not AuditEntry.objects.filter(action="subscription.created").exists()


def test_every_wrong_line_is_named_and_nothing_is_taken(importing: Importing) -> None:
    with pytest.raises(CommandError) as refused:
        importing(
            line("A"),
            "",
            "{",
            "[]",
            line("B", secrte="misspelt"),
            line("C", url="http://c.example/", events=[]),
            line("D", url="https://10.0.0.1/"),
            line("E", signature_schemes=["hmac_sha256_hex"]),
            line("A"),
        )

    said = str(refused.value).splitlines()
    assert [text.split(":")[0] for text in said[:-1]] == [f"line {n}" for n in (3, 4, 5, 6, 7, 8, 9)]
    for text, part in zip(
        said,
        [
            *("it is not JSON", "dictionary", "secrte: Unknown field", "events: "),
            *("url ", "give a secret", "line 1", "7 errors; nothing was imported"),
        ],
        strict=True,
    ):
        assert part in text
    assert not Subscription.objects.exists()


def test_separators_of_lines_that_json_knows_as_text_are_text(importing: Importing) -> None:
    importing(json.dumps(line() | {"name": "a\u2028b"}, ensure_ascii=False))

    assert Subscription.objects.get().name == "a\u2028b"


def test_the_mark_that_some_editors_begin_a_file_with_is_no_text(importing: Importing) -> None:
    assert "created 1," in importing("\ufeff" + json.dumps(line()))[1]


def test_each_is_on_record_as_the_commands(importing: Importing) -> None:
    importing(line(secret=TEXT))

    entry = AuditEntry.objects.get(action="subscription.created")
    assert (entry.actor_kind, entry.actor) == ("command", "import_subscriptions")
    assert TEXT not in json.dumps(entry.after)


def test_what_comes_from_standard_input(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(line())))

    run("import_subscriptions", "-", "--organization", organization.name)

    assert Subscription.objects.get().name == "Shop"


def test_an_organization_or_a_file_that_is_none_is_named(organization: Organization, tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"\xe9")
    for file, name, message in (
        (tmp_path / "latin", "Nobody", "--organization"),
        (tmp_path / "missing", organization.name, "No such file"),
        (tmp_path / "latin", organization.name, "not UTF-8"),
    ):
        with pytest.raises(CommandError, match=message):
            run("import_subscriptions", str(file), "--organization", name)
