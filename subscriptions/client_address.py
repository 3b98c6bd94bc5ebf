"""Who asks, as far as it can be believed."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def claimed(request: HttpRequest) -> str:
    """What stands for the client's address.

    `X-Forwarded-For` is written by anybody; each proxy adds to its end whom it was asked by. So as many
    entries count as there are proxies of our own (X_FORWARDED_FOR_PROXIES).
    """
    told = request.META.get("HTTP_X_FORWARDED_FOR", "")
    chain = [entry.strip() for entry in told.split(",") if entry.strip()]
    chain.append(request.META.get("REMOTE_ADDR", ""))
    text: str = chain[max(0, len(chain) - 1 - settings.X_FORWARDED_FOR_PROXIES)]
    return text


def address_of(request: HttpRequest) -> Address | None:
    """None where there is none, as behind a Unix socket."""
    try:
        return ipaddress.ip_address(claimed(request))
    except ValueError:
        return None
