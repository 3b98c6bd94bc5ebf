"""What lives as long as a worker process: a transport that always comes back, the requeuer's thread."""

import socket
import struct
import threading
import time
from typing import Any

import pytest

from delivery.sender import NoAnswer, Transport
from delivery.states import ErrorClass
from tests.integration.test_sender import (
    CHUNKED,
    MOVED,
    OK,
    Talk,
    closed_port,
    endless,
    post,
    say,
    serving,
    silent,
    take_request,
)

DEADLINE_SECONDS = 0.4
SOON_SECONDS = 10 * DEADLINE_SECONDS


def reset(sock: socket.socket, over: threading.Event) -> None:
    """Close in the middle of the answer in the rudest way that TCP knows."""
    take_request(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def error_of(transport: Transport, talk: Talk, **kwargs: Any) -> ErrorClass:
    with serving(talk) as server:
        result = post(transport, server.url, **kwargs)
    assert isinstance(result, NoAnswer), result
    return result.error_class


STALLING = {
    "hangs before the headers": silent,
    "drips the headers": endless(OK, b"X-A: 1\r\n", 0.05),
    "drips one header": endless(OK + b"X-A: ", b"1", 0.05),
    "drips the body": endless(OK + b"\r\n", b"x", 0.05),
    "drips the body of a redirect": endless(MOVED + b"\r\n", b"x", 0.05),
    "drips chunks": endless(CHUNKED, b"1\r\nx\r\n", 0.05),
    "drips trailers": endless(CHUNKED + b"0\r\n", b"X-A: 1\r\n", 0.05),
    "says continue for ever": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),
}


@pytest.mark.parametrize("talk", STALLING.values(), ids=STALLING)
def test_a_receiver_that_stalls_is_left_at_the_total_deadline(transport: Transport, talk: Talk) -> None:
    started = time.monotonic()

    error = error_of(transport, talk, timeout=DEADLINE_SECONDS)

    assert error is ErrorClass.TIMEOUT
    assert time.monotonic() - started < SOON_SECONDS


def test_a_receiver_that_never_reads_is_left_at_the_total_deadline(transport: Transport) -> None:
    started = time.monotonic()

    error = error_of(transport, silent, timeout=DEADLINE_SECONDS, body=b"x" * 20_000_000)

    assert error is ErrorClass.TIMEOUT
    assert time.monotonic() - started < SOON_SECONDS


BROKEN = {
    "reset in the middle": (reset, ErrorClass.CONNECTION_RESET),
    "close without an answer": (say(b""), ErrorClass.CONNECTION_RESET),
    "garbage": (say(b"SSH-2.0-OpenSSH_9.6\r\n"), ErrorClass.PROTOCOL),
    "a thousand headers": (say(OK + b"a: b\r\n" * 1000 + b"\r\n"), ErrorClass.PROTOCOL),
    "a header without end": (say(OK + b"a: " + b"b" * 200_000 + b"\r\n\r\n"), ErrorClass.PROTOCOL),
    "a body that ends early": (say(OK + b"Content-Length: 9\r\n\r\nhalf"), ErrorClass.PROTOCOL),
    "chunks that end early": (say(CHUNKED + b"9\r\nhalf"), ErrorClass.PROTOCOL),
}


@pytest.mark.parametrize(("talk", "expected"), BROKEN.values(), ids=BROKEN)
def test_a_broken_answer_is_none_and_the_class_of_the_error_says_why(
    transport: Transport, talk: Talk, expected: ErrorClass
) -> None:
    assert error_of(transport, talk) is expected


def test_a_closed_port_is_a_refused_connection(transport: Transport) -> None:
    result = post(transport, f"http://127.0.0.1:{closed_port()}/hook")

    assert isinstance(result, NoAnswer)
    assert result.error_class is ErrorClass.CONNECTION_REFUSED
