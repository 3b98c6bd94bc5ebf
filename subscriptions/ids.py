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
    """A UUID whose first 48 bits are the Unix time in milliseconds (RFC 9562, version 7).

    Rows made later sort later, so retention can work by range of keys and inserts touch the
    right-hand edge of the index only.
    """
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & (2**48 - 1)) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | (0x7 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return uuid.UUID(int=value)
