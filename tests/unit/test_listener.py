"""What the listener thinks of signatures, and how it shows a webhook."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import pytest

from delivery.listener.shown import LINE_MAX_CHARACTERS, LINES_MAX, Shown, as_json, details, headline
from delivery.listener.verifying import Keys, Request, Verdict, keys_of, verify
from delivery.signing import SIGNATURE, Signable, headers_for
from delivery.signing import Keys as SigningKeys
from subscriptions.event_types import SignatureScheme
from subscriptions.keys import new_api_key, new_key_pair, new_standard_secret

NOW = 1_790_000_000
BODY = '{"event_type":"workflow.completed","text":"café ☕"}'.encode()
SECRET, TEXT, API_KEY = new_standard_secret(), "a text of theirs, café", new_api_key()
PRIVATE, PUBLIC = new_key_pair()
SIGNING = SigningKeys(standard=[SECRET], text=[TEXT], ed25519=[PRIVATE], api_key=API_KEY)
KEYS = keys_of([SECRET, TEXT, PUBLIC, API_KEY])
SIGNED = [scheme for scheme in SignatureScheme if scheme is not SignatureScheme.NONE]


def request(
    *schemes: str, body: bytes = BODY, signed_at: int = NOW, headers: Mapping[str, str] | None = None
) -> Request:
    signable = Signable(webhook_id="evt_1", timestamp=signed_at, body=BODY)
    made = {name.lower(): value for name, value in headers_for(schemes, signable, SIGNING).items()}
    return Request(headers=made | dict(headers or {}), body=body, now=NOW)


@pytest.mark.parametrize("scheme", SIGNED)
def test_what_this_service_signs_is_genuine(scheme: str) -> None:
    assert verify(request(scheme), KEYS) == {scheme: Verdict.GENUINE}


def test_all_schemes_at_once_are_judged_one_by_one() -> None:
    found = verify(request(*SIGNED), KEYS)

    assert found == dict.fromkeys(SIGNED, Verdict.GENUINE)


@pytest.mark.parametrize("scheme", [scheme for scheme in SIGNED if scheme != SignatureScheme.SHARED_SECRET])
def test_another_body_than_was_signed_is_forged(scheme: str) -> None:
    assert verify(request(scheme, body=BODY + b" "), KEYS) == {scheme: Verdict.FORGED}


@pytest.mark.parametrize("scheme", SIGNED)
def test_another_key_is_a_forgery_and_no_key_is_none(scheme: str) -> None:
    others = keys_of([new_standard_secret(), "another text", new_key_pair()[1]])

    assert verify(request(scheme), others) == {scheme: Verdict.FORGED}
    assert verify(request(scheme), Keys()) == {scheme: Verdict.NO_KEY}


@pytest.mark.parametrize("age", [301, -301])
@pytest.mark.parametrize("scheme", ["standard_webhooks", "standard_webhooks_ed25519"])
def test_what_was_signed_long_ago_is_stale(scheme: str, age: int) -> None:
    assert verify(request(scheme, signed_at=NOW - age), KEYS) == {scheme: Verdict.STALE}


def test_one_signature_of_several_is_enough() -> None:
    old = new_standard_secret()
    both = SigningKeys(standard=[old, SECRET], text=[])
    signable = Signable(webhook_id="evt_1", timestamp=NOW, body=BODY)
    headers = headers_for(["standard_webhooks"], signable, both)

    assert len(headers[SIGNATURE].split()) == 2
    for secret in (old, SECRET):
        found = verify(Request(headers=headers, body=BODY, now=NOW), keys_of([secret]))
        assert found == {"standard_webhooks": Verdict.GENUINE}


def test_without_a_signature_there_is_nothing_to_judge() -> None:
    assert verify(request("none"), KEYS) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-signature", "v1,é\ud800"),
        ("webhook-signature", "v1,"),
        ("webhook-signature", "v1a,AAAA"),
        ("webhook-timestamp", "9" * 5000),
        ("webhook-timestamp", "now"),
        ("webhook-id", "\ud800"),
        ("x-webhook-signature", "\udce9"),
        ("x-webhook-secret", "é"),
    ],
)
def test_a_header_that_is_nonsense_is_not_genuine(name: str, value: str) -> None:
    found = verify(request(*SIGNED, headers={name: value}), KEYS)

    assert set(found.values()) - {Verdict.GENUINE}


@pytest.mark.parametrize("text", ["whsec_AAAA", "whsec_?", "whpk_AAAA", "whpk_?"])
def test_a_key_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=text.split("_")[0]):
        keys_of([text])


SHOWN = Shown(
    at=datetime(2026, 1, 31, 15, 20, 42),
    path="/hook",
    webhook_id="evt_1",
    body=BODY,
    verdicts={"standard_webhooks": Verdict.GENUINE},
    times=1,
    status=204,
    delay_seconds=0.0,
)


def test_a_webhook_is_one_line_and_its_body_for_people() -> None:
    assert " ".join(headline(SHOWN)) == (
        "15:20:42  /hook  workflow.completed standard_webhooks: genuine -> 204"
    )
    assert details(SHOWN) == [
        "webhook-id evt_1",
        "{",
        '  "event_type": "workflow.completed",',
        '  "text": "café ☕"',
        "}",
    ]


def test_what_is_special_about_it_is_said() -> None:
    shown = replace(SHOWN, times=3, delay_seconds=2.5, verdicts={}, status=500, webhook_id="")

    assert " ".join(headline(shown)) == (
        "15:20:42  /hook  workflow.completed  (time 3) unsigned -> 500 after 2.5 s"
    )
    assert details(shown)[0] == "webhook-id is missing"


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b'{"type": "a.b"}', "a.b"),
        (b'{"id": "rnp_1", "status": "completed"}', "run completed"),
        (b"[]", "no JSON object"),
        (b"{", "no JSON object"),
        (b"[" * 100_000, "no JSON object"),
        (b'{"type": 5}', "unknown"),
    ],
)
def test_it_says_what_is_told_in_every_format(body: bytes, what: str) -> None:
    assert headline(replace(SHOWN, body=body))[0].endswith(f"/hook  {what}")


def test_nothing_that_comes_in_can_write_to_the_terminal() -> None:
    evil = "\x1b[2J\x9b31m\r"
    bodies = [
        json.dumps({"type": evil, evil: evil}, ensure_ascii=False).encode(),
        evil.encode(),
        b"\xff\x1b[",
    ]

    for body in bodies:
        shown = replace(SHOWN, body=body, path=f"/{evil}", webhook_id=evil)
        text = "".join([*headline(shown), *details(shown)])
        assert text.isprintable(), text


def test_a_long_body_is_cut_for_people_and_whole_for_programs() -> None:
    shown = replace(SHOWN, body=json.dumps(list(range(1000))).encode())

    assert len(details(shown)) == LINES_MAX + 2
    assert details(shown)[-1] == f"… {1002 - LINES_MAX} more lines"
    assert json.loads(as_json(shown))["body"] == list(range(1000))


def test_a_body_that_is_one_long_line_does_not_flood_the_terminal() -> None:
    told = details(replace(SHOWN, body=b"x" * (LINE_MAX_CHARACTERS + 7)))[-1]

    assert told == "x" * LINE_MAX_CHARACTERS + "… 7 more characters"
