"""Signatures, held against published vectors and an independent library."""

import hashlib
import hmac

import pytest
from freezegun import freeze_time
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from delivery.signing import Keys, Signable, headers_for
from subscriptions.keys import new_key_pair, new_standard_secret

# Standard Webhooks' published vector.
VECTOR_KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VECTOR = Signable(
    webhook_id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330, body=b'{"test": 2432232314}'
)
# Seed 001's: the bare body, keyed by the caller's text.
ELAN_BODY = (
    b'{"event_id":"evt_abc123","event_type":"workflow.completed","workflow_id":"wf_xyz789",'
    b'"organization_id":"org_123","timestamp":"2025-12-21T10:30:00Z","data":{}}'
)
# The one that implementations of its asymmetric form share: of the same message.
PAIR_PRIVATE = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
PAIR_PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
PAIR_SIGNATURE = (
    "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
)
BOTH = ["standard_webhooks", "hmac_sha256_hex"]


def signed(
    *schemes: str, message: Signable = VECTOR, standard: tuple[str, ...] = (), text: tuple[str, ...] = ()
) -> dict[str, str]:
    return headers_for(schemes, message, Keys(standard=standard, text=text))


def test_the_published_standard_webhooks_vector() -> None:
    assert signed("standard_webhooks", standard=(VECTOR_KEY,)) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_the_shared_vector_of_the_asymmetric_form() -> None:
    headers = headers_for(
        ["standard_webhooks_ed25519"], VECTOR, Keys(standard=(), text=(), ed25519=(PAIR_PRIVATE,))
    )

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": PAIR_SIGNATURE,
    }


@pytest.mark.parametrize("reverse", [False, True])
def test_both_forms_share_a_header_and_while_a_pair_is_exchanged_both_sign(reverse: bool) -> None:
    schemes = ["standard_webhooks", "standard_webhooks_ed25519", "hmac_sha256_hex"]
    keys = Keys(standard=(VECTOR_KEY,), text=("text",), ed25519=(PAIR_PRIVATE, new_key_pair()[0]))

    headers = headers_for(schemes[::-1] if reverse else schemes, VECTOR, keys)

    signatures = headers["webhook-signature"].split(" ")
    assert sorted(signature.split(",")[0] for signature in signatures) == ["v1", "v1a", "v1a"]
    assert {PAIR_SIGNATURE, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="} < set(signatures)
    assert "X-Webhook-Signature" in headers


@pytest.mark.parametrize(
    "key", ["", "whsk_", "whsk_" + "A" * 43 + "=", PAIR_PUBLIC, PAIR_PRIVATE[:-4], f"{PAIR_PRIVATE}\n"]
)
def test_a_text_that_is_no_private_key_signs_nothing(key: str) -> None:
    keys = Keys(standard=(), text=(), ed25519=(key,))

    assert "webhook-signature" not in headers_for(["standard_webhooks_ed25519"], VECTOR, keys)


def test_seed_001s_vector() -> None:
    message = Signable(webhook_id="evt_abc123", timestamp=1, body=ELAN_BODY)

    headers = signed("hmac_sha256_hex", message=message, text=("whsec_fixture",))

    assert (
        headers["X-Webhook-Signature"] == "6566e586ed260b1871e708a1eb21d30b6e35a43964482b66c024a30faf819f81"
    )


@pytest.mark.parametrize(
    "body",
    [b"{}", b"", '{"name":"café ☕ 語"}'.encode(), b'{"a":"\\ud800"}', b'{"a":"' + b"x" * 100_000 + b'"}'],
    ids=["empty object", "empty", "non-ASCII", "escaped surrogate", "large"],
)
def test_the_independent_library_verifies_what_we_sign(body: bytes) -> None:
    secret = new_standard_secret()
    message = Signable(webhook_id="evt_1", timestamp=1_700_000_000, body=body)

    headers = signed("standard_webhooks", message=message, standard=(secret,))

    with freeze_time("2023-11-14T22:13:20Z"):
        # Of an empty body the library checks the signature first and then fails to read JSON.
        if body:
            Webhook(secret).verify(body, headers)


def test_the_independent_library_refuses_a_changed_body_id_time_or_key() -> None:
    secret = new_standard_secret()
    message = Signable(webhook_id="evt_1", timestamp=1_700_000_000, body=b'{"a":1}')
    headers = signed("standard_webhooks", message=message, standard=(secret,))
    forgeries = [
        (secret, b'{"a":2}', headers),
        (secret, b'{"a":1}', headers | {"webhook-id": "evt_2"}),
        (secret, b'{"a":1}', headers | {"webhook-timestamp": "1700000001"}),
        (new_standard_secret(), b'{"a":1}', headers),
    ]

    for key, body, changed in forgeries:
        with freeze_time("2023-11-14T22:13:20Z"), pytest.raises(WebhookVerificationError):
            Webhook(key).verify(body, changed)


def test_while_a_secret_is_rotated_both_the_old_and_the_new_one_verify() -> None:
    new, old = new_standard_secret(), new_standard_secret()

    headers = signed("standard_webhooks", standard=(new, old))

    assert len(headers["webhook-signature"].split(" ")) == 2
    with freeze_time("2021-02-25T15:02:10Z"):
        assert Webhook(new).verify(VECTOR.body, headers)
        assert Webhook(old).verify(VECTOR.body, headers)


def test_the_caller_s_text_is_used_as_utf8() -> None:
    headers = signed("hmac_sha256_hex", text=("pässwörd ☕",))

    expected = hmac.new("pässwörd ☕".encode(), VECTOR.body, hashlib.sha256).hexdigest()
    assert headers["X-Webhook-Signature"] == expected


def test_only_the_newest_text_signs() -> None:
    assert signed("hmac_sha256_hex", text=("new", "old")) == signed("hmac_sha256_hex", text=("new",))


def test_without_a_key_there_is_no_signature_header() -> None:
    headers = signed(*BOTH, "shared_secret")

    assert set(headers) == {"webhook-id", "webhook-timestamp"}


def test_a_key_that_is_not_of_the_standard_form_signs_nothing() -> None:
    headers = signed("standard_webhooks", standard=("whsec_c2hvcnQ=", "not a key"))

    assert "webhook-signature" not in headers


def test_several_schemes_apply_at_once() -> None:
    headers = signed(*BOTH, standard=(VECTOR_KEY,), text=("hello",))

    assert set(headers) == {"webhook-id", "webhook-timestamp", "webhook-signature", "X-Webhook-Signature"}


def test_none_adds_only_the_id_and_the_time() -> None:
    headers = signed("none", standard=(VECTOR_KEY,), text=("hello",))

    assert set(headers) == {"webhook-id", "webhook-timestamp"}


def test_shared_secret_sends_the_text_itself() -> None:
    assert signed("shared_secret", text=("hello",))["X-Webhook-Secret"] == "hello"
