"""System checks of the settings that say where webhooks may go (WEBHOOK_…)."""

import ipaddress
import ssl
from collections.abc import Callable, Iterator, Sequence

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

from delivery.sender.transport import tls_context
from subscriptions.addresses import read_host, read_nat64_prefix, read_ports

NETWORKS_HINT = "Write networks as 10.1.0.0/16,fd00:1::/32."


def found() -> Iterator[CheckMessage]:
    readers: Sequence[tuple[str, Callable[[str], object], str, str]] = (
        ("WEBHOOK_ALLOWED_NETWORKS", ipaddress.ip_network, NETWORKS_HINT, "runhooks.E002"),
        (
            "WEBHOOK_ALLOWED_HOSTS",
            read_host,
            "Write names as hooks.example.com,*.corp.example, and addresses into WEBHOOK_ALLOWED_NETWORKS.",
            "runhooks.E020",
        ),
        ("WEBHOOK_ALLOWED_PORTS", read_ports, "Write ports as 443,8000-8999, or * for all.", "runhooks.E021"),
        ("WEBHOOK_REFUSED_NETWORKS", ipaddress.ip_network, NETWORKS_HINT, "runhooks.E022"),
        ("WEBHOOK_NAT64_PREFIXES", read_nat64_prefix, "Write prefixes as 64:ff9b::/96.", "runhooks.E023"),
    )
    for name, reader, hint, id_ in readers:
        yield from _unreadable(name, reader, hint, id_)
    if not settings.WEBHOOK_ALLOWED_PORTS:
        yield Error("WEBHOOK_ALLOWED_PORTS is empty.", hint="Unset it for 443,8443.", id="runhooks.E021")
    yield from _ca_file()
    yield from _open_to_all()


def _unreadable(name: str, reader: Callable[[str], object], hint: str, id_: str) -> Iterator[CheckMessage]:
    for text in getattr(settings, name):
        try:
            reader(text)
        except ValueError as error:
            yield Error(f"{name}: {error}.", hint=hint, id=id_)
            return


def _ca_file() -> Iterator[CheckMessage]:
    try:
        tls_context(settings.WEBHOOK_CA_FILE, settings.WEBHOOK_TLS_SESSION_MAX_AGE_SECONDS)
    except (OSError, ssl.SSLError) as error:
        yield Error(
            f"WEBHOOK_CA_FILE: {settings.WEBHOOK_CA_FILE}: {error.strerror or error}.",
            hint="Name a readable file of certificates in PEM.",
            id="runhooks.E024",
        )


def _open_to_all() -> Iterator[CheckMessage]:
    if settings.PRODUCTION and {"0.0.0.0/0", "::/0"} & set(settings.WEBHOOK_ALLOWED_NETWORKS):
        yield Warning(
            "WEBHOOK_ALLOWED_NETWORKS allows every address: who may subscribe can reach your own network.",
            hint="Name the networks of the receivers, or silence runhooks.W020 if everybody is trusted.",
            id="runhooks.W020",
        )
