"""Keys: made, recognised, hashed; secrets encrypted at rest."""

import base64

import pytest
from cryptography.fernet import Fernet
from pytest_django.fixtures import Settings

from subscriptions import keys, secrets
from subscriptions.snapshots import Receiver, SigningKey


def whsec(length: int) -> str:
    return "whsec_" + base64.b64encode(b"k" * length).decode()


@pytest.mark.parametrize("plain", ["hello", "", "pässwörd ☕", "x" * 10_000, "\x00\n"], ids=repr)
def test_what_was_encrypted_can_be_decrypted(plain: str) -> None:
    assert secrets.decrypt(secrets.encrypt(plain)) == plain


def test_a_token_shows_nothing_and_is_never_the_same() -> None:
    tokens = {secrets.encrypt("hello") for _ in range(5)}

    assert len(tokens) == 5
    assert not any("hello" in token for token in tokens)


def test_after_a_new_key_was_put_first_old_tokens_still_open(settings: Settings) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [old]
    token = secrets.encrypt("hello")

    settings.ENCRYPTION_KEYS = [new, old]

    assert secrets.decrypt(token) == "hello"


def test_new_tokens_are_made_with_the_first_key(settings: Settings) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [new, old]
    token = secrets.encrypt("hello")

    settings.ENCRYPTION_KEYS = [new]

    assert secrets.decrypt(token) == "hello"


def test_without_its_key_a_token_is_reported_without_its_content(settings: Settings) -> None:
    token = secrets.encrypt("hello")
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]

    with pytest.raises(secrets.UndecryptableSecret) as refused:
        secrets.decrypt(token)

    assert "hello" not in str(refused.value)
    assert token not in str(refused.value)


def test_headers_are_encrypted_as_a_whole() -> None:
    headers = {"Authorization": "Bearer abc", "X-Empty": ""}

    token = secrets.encrypt_headers(headers)

    assert secrets.decrypt_headers(token) == headers
    assert "Authorization" not in token


def test_no_headers_need_no_token() -> None:
    assert secrets.encrypt_headers({}) == ""
    assert secrets.decrypt_headers("") == {}


def test_an_api_key_is_random_recognisable_and_kept_only_as_a_hash() -> None:
    one, other = keys.new_api_key(), keys.new_api_key()

    assert one != other
    assert one.startswith("rhk_")
    assert len(one) == 4 + 64
    assert keys.hash_api_key(one) != keys.hash_api_key(other)
    assert one not in keys.hash_api_key(one)


@pytest.mark.parametrize("length", [24, 32, 64])
def test_a_standard_key_has_24_to_64_bytes(length: int) -> None:
    assert keys.standard_key(whsec(length)) == b"k" * length


@pytest.mark.parametrize(
    "text",
    [
        *("", "whsec_", whsec(23), whsec(65), whsec(32)[:-1], whsec(32).removeprefix("whsec_")),
        *(whsec(32) + "\n", "WHSEC_" + whsec(32)[6:], "whsec_" + "é" * 40, "whsec_" + "-_" * 20, "hello"),
    ],
    ids=repr,
)
def test_any_other_text_is_no_standard_key(text: str) -> None:
    assert keys.standard_key(text) is None


def test_a_new_standard_secret_is_a_random_key_of_32_bytes() -> None:
    one, other = keys.new_standard_secret(), keys.new_standard_secret()

    assert one != other
    assert len(keys.standard_key(one) or b"") == 32


def test_secrets_do_not_show_when_what_holds_them_is_printed() -> None:
    key = SigningKey(kind="text", text="hush", expires_at=None)
    receiver = Receiver(
        url="https://example.com/",
        signature_schemes=(),
        retry_policy="standard",
        retry_schedule=None,
        timeout_seconds=10,
        headers=(("Authorization", "hush"),),
        keys=(key,),
    )

    assert "hush" not in f"{key!r} {key} {receiver!r} {receiver}"
