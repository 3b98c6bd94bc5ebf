"""Identifiers: what customers see cannot be counted, what tables sort by is time-ordered."""

import secrets
import time
import uuid

ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
# Integers up to 2^53 survive every JSON reader, JavaScript's included.
LARGEST_EXACT_INTEGER = 2**53


def random_text(length: int) -> str:
    return "".join(secrets.choice(ALPHANUMERIC) for _ in range(length))


def prefixed(prefix: str, length: int) -> str:
    """A public id such as `org_8fJq…`: 14 characters carry 83 bits."""
    return f"{prefix}_{random_text(length)}"


def new_organization_id() -> str:
    return prefixed("org", 14)


def new_subscription_id() -> int:
    """A random integer below 2^53: an integer as receivers of seed 001 expect, yet it counts nothing."""
    return secrets.randbelow(LARGEST_EXACT_INTEGER - 1) + 1


def uuid7() -> uuid.UUID:
    """A UUID of version 7 (RFC 9562): 48 bits of Unix milliseconds, then 12 bits of their fraction.

    Rows made later sort later, to a quarter of a microsecond, so retention can work by range of keys
    and inserts touch the right-hand edge of the index only. 62 random bits follow.
    """
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    fraction = (nanoseconds << 12) // 1_000_000
    value = (milliseconds & (2**48 - 1)) << 80 | 0x7 << 76 | fraction << 64 | 0x2 << 62
    return uuid.UUID(int=value | secrets.randbits(62))


def first_uuid7(milliseconds: int) -> uuid.UUID:
    """Below every key made at that Unix time or later; for lists that start at a time."""
    return uuid.UUID(int=max(0, milliseconds) << 80)
