"""No secret is in the repository: neither in a known form, nor a long random text."""

import math
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent.parent
FORMS = {
    "private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY",
    "AWS key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,})",
    "Google key": r"\bAIza[0-9A-Za-z_-]{35}",
    "Slack token": r"\bxox[abeprs]-[0-9A-Za-z-]{10,}",
    "Stripe key": r"\b[rs]k_live_[0-9A-Za-z]{16,}",
    "npm or PyPI token": r"\b(?:npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{40,})",
    "JSON Web Token": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.",
    "URL with a password": r"\b[a-z][a-z0-9+]{2,}://[^\s/:@'\"{}$<>]*:[^\s/@'\"{}$<>]{8,}@",
}
RANDOM = re.compile(
    r"(?<![A-Za-z0-9+/_=-])(?:[A-Fa-f0-9]{32,}|[A-Za-z0-9+/_-]{32,}={0,2})(?![A-Za-z0-9+/_=-])"
)
# Bits per character that a text of random hex, or of random base64, has at this length.
HEX_ENTROPY_MIN = 3.0
BASE64_ENTROPY_MIN = 4.3
# Lines that hold hashes of public packages.
HASHES = re.compile(r'--hash=sha256:|"integrity": "sha512-')

ALLOWED = {
    "postgres://user:password@": "how such a URL is written, in the table of settings",
    "redis://:password@": "a URL for Django's checks, of a server that is never asked",
    "redis://:pass-word@": "a test hides it",
    "redis://:hush-hush@": "a test hides it",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789": "an alphabet",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw": "the published example of Standard Webhooks",
    "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=": "its published signature",
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==": "a pair "
    "that signs nothing but a test's message",
    "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=": "its public half",
    "hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==": "a signature "
    "of that pair",
    "6566e586ed260b1871e708a1eb21d30b6e35a43964482b66c024a30faf819f81": "a signature that a test expects",
    "cdb36cc661423ed084631c125f86a88acfc72d17bb24ba5dc7f0a999aba34cd4": "a signature that a test expects",
    "601860094c60cb1b75d7f943cc338a738a4095695fa3d3de2b9c2f6c44242103": "a signature that a test expects",
    "com/v1/production/o_485917350850524254/tsk_490440844256003946/recording": "a path in Skyvern's example",
    "com/v1/production/o_485917350850524254/tsk_490441394011816060/screenshot_final": "another one",
}
Found = tuple[str, str]


def files() -> Iterator[Path]:
    """What is in the repository, and what would be with the next commit."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        # Screenshots are of made-up data, and no text.
        if (CHECKOUT / name).is_file() and not name.endswith(".png"):
            yield CHECKOUT / name


def entropy(text: str) -> float:
    """Bits per character."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def secrets_in(text: str) -> Iterator[Found]:
    """What looks like a secret, by the form that it has."""
    for line in text.splitlines():
        if HASHES.search(line):
            continue
        for form, pattern in FORMS.items():
            yield from ((form, match[0]) for match in re.finditer(pattern, line))
        for match in RANDOM.finditer(line):
            least = HEX_ENTROPY_MIN if re.fullmatch("[A-Fa-f0-9]+", match[0]) else BASE64_ENTROPY_MIN
            if entropy(match[0]) >= least and re.search(r"\d", match[0]):
                yield "random text", match[0]


def test_no_secret_is_in_the_repository() -> None:
    found = {
        (path.relative_to(CHECKOUT).as_posix(), *secret)
        for path in files()
        for secret in secrets_in(path.read_text())
    }

    assert {secret for secret in found if secret[2] not in ALLOWED} == set()


def test_what_is_allowed_is_still_there() -> None:
    text = "".join(path.read_text() for path in files() if path != Path(__file__))

    assert [secret for secret in ALLOWED if secret not in text] == []
    assert all(len(reason) > 10 for reason in ALLOWED.values())


@pytest.mark.parametrize(
    "planted",
    [
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "AKIA" + "IOSFODNN7EXAMPLE",
        "ghp_0123456789" + "abcdefghijABCDEFGHIJ012345",
        'token = "' + "c2VjcmV0LXZhbHVlLTEy" + 'MzQ1Njc4OTBhYmNkZWY5OA=="',
        "key: " + "9f86d081884c7d659a2feaa0c55a" + "d015a3bf4f1b2b0b822cd15d6c15",
        "DATABASE_URL=postgres://runhooks:" + "hunter2-hunter2@db/runhooks",
    ],
)
def test_a_planted_secret_is_found(planted: str) -> None:
    assert list(secrets_in(planted))


def test_the_hashes_of_the_locks_are_no_secrets() -> None:
    assert list(secrets_in((CHECKOUT / "requirements/production.txt").read_text())) == []
