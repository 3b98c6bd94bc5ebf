"""Log-in to the admin, throttled per user name and per client address.

A place is taken before the password is looked at, whether or not it is right, so guessing costs an
attacker time and the server no password hash. While the shared store is away each process counts on its
own: neither is everybody locked out nor the door left open.
"""

import hashlib
import ipaddress
import math
from typing import Any

from django.conf import settings
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from subscriptions.client_address import address_of, claimed
from subscriptions.rate_limits import Bucket, take

# What one customer of a network provider is given at the least.
IPV6_NETWORK_BITS = 64


class ThrottledLogInForm(AdminAuthenticationForm):
    """Django's, with a bound on tries."""

    def clean(self) -> dict[str, Any]:
        assert self.request is not None
        verdict = take(*_buckets(self.cleaned_data.get("username", ""), client_address(self.request)))
        if verdict is not None and not verdict.is_allowed:
            seconds = math.ceil(verdict.wait_seconds)
            raise ValidationError(
                f"Too many log-in attempts. Try again in {seconds} seconds.", code="too_many_log_ins"
            )
        return super().clean()


def client_address(request: HttpRequest) -> str:
    """Of IPv6 the network, for each client has 2^64 addresses."""
    address = address_of(request)
    if address is None:
        return claimed(request)
    if address.version == 6:
        return str(ipaddress.ip_network((address, IPV6_NETWORK_BITS), strict=False))
    return str(address)


def _buckets(user_name: str, address: str) -> list[Bucket]:
    per_minute = {
        f"log-in:user:{user_name}": (settings.LOGIN_USER_TRIES_PER_MINUTE, settings.LOGIN_USER_BURST_TRIES),
        f"log-in:address:{address}": (
            settings.LOGIN_ADDRESS_TRIES_PER_MINUTE,
            settings.LOGIN_ADDRESS_BURST_TRIES,
        ),
    }
    # What people type is neither kept nor of any length.
    return [
        Bucket(hashlib.sha256(name.encode()).hexdigest(), rate / 60, burst)
        for name, (rate, burst) in per_minute.items()
    ]
