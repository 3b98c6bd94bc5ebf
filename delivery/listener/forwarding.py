"""Hands a webhook on to a port of this machine, through the sender, and its answer back."""

from collections.abc import Callable

from delivery.listener.server import HOP_HEADERS, Reply
from delivery.sender import Transport
from delivery.sender.result import Answer, NoAnswer, OutgoingRequest
from subscriptions.addresses import TargetRule

LOOPBACK = ("127.0.0.0/8", "::1/128")
ANSWER_MAX_CHARACTERS = 1_000_000
TIMEOUT_SECONDS = 30.0
BAD_GATEWAY = 502


def forward_to(port: int) -> Callable[[str, dict[str, str], bytes], Reply]:
    """A function that sends to the same path there, and to nowhere but this machine."""
    transport = Transport(
        rule=TargetRule.of(allow_http=True, networks=LOOPBACK, ports=["1-65535"]),
        connections_per_receiver=8,
        body_max_characters=ANSWER_MAX_CHARACTERS,
    )

    def forward(path: str, headers: dict[str, str], body: bytes) -> Reply:
        kept = {name: value for name, value in headers.items() if name not in HOP_HEADERS}
        request = OutgoingRequest(
            url=f"http://127.0.0.1:{port}{path}",
            headers=kept,
            body=body,
            timeout_seconds=TIMEOUT_SECONDS,
            organization_id=0,
        )
        return _reply(transport.send(request), port)

    return forward


def _reply(result: Answer | NoAnswer, port: int) -> Reply:
    if not isinstance(result, Answer):
        return Reply(BAD_GATEWAY, result.message.encode(), note=f" (port {port}: {result.message})")
    types = (value for name, value in result.headers.items() if name.lower() == "content-type")
    content_type = next(types, "application/octet-stream")
    return Reply(result.status_code, result.body.encode(), content_type, note=f" (from port {port})")
