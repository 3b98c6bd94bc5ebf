"""The only place that talks HTTP: pooled connections, a total deadline, no redirects, a capped answer."""

import ssl
import time
from functools import lru_cache
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.exceptions import HTTPError, ProtocolError
from urllib3.util.ssl_ import create_urllib3_context

from delivery.sender.answers import (
    UTF8_MAX_BYTES_PER_CHARACTER,
    kept_headers,
    kept_text,
    milliseconds_since,
    unanswered,
)
from delivery.sender.connections import GuardedHTTPSPool, GuardedPool, ThreadExchange, carry_out
from delivery.sender.deadline import Deadline, Watchdog
from delivery.sender.lookups import Lookups
from delivery.sender.result import Answer, NoAnswer, OutgoingRequest, SendFailure
from delivery.sender.sessions import resume_sessions
from delivery.sender.targets import Targets
from delivery.states import ErrorClass
from subscriptions.addresses import TargetRule

# Receivers whose connections are kept: 256 pools of a few idle sockets each.
RECEIVERS_KEPT = 256


class GuardedAdapter(HTTPAdapter):
    """Lets connections be made by the guarded classes only, and never through a proxy."""

    def __init__(self, *, tls: ssl.SSLContext, connections_per_receiver: int) -> None:
        self._tls = tls
        super().__init__(
            pool_connections=RECEIVERS_KEPT, pool_maxsize=connections_per_receiver, max_retries=0
        )

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._tls)
        self.poolmanager.pool_classes_by_scheme = {"http": GuardedPool, "https": GuardedHTTPSPool}

    def cert_verify(self, conn: Any, *args: Any, **kwargs: Any) -> None:
        """The context has the authorities already; the base class would read them for each connection."""
        conn.cert_reqs = "CERT_REQUIRED"

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        raise SendFailure(ErrorClass.NOT_SENT, "Proxies are not supported")


class Transport:
    """Sends requests to targets that the rule allows. Safe to share between threads."""

    def __init__(
        self,
        *,
        rule: TargetRule,
        connections_per_receiver: int,
        body_max_characters: int,
        dns_timeout_seconds: float = 5.0,
        lookups_per_organization: int = 8,
        ca_file: str = "",
        tls_session_max_age_seconds: float = 0.0,
    ) -> None:
        self._rule = rule
        self._targets = Targets(rule)
        self._lookups = Lookups(
            timeout_seconds=dns_timeout_seconds, per_organization=lookups_per_organization
        )
        self._body_max_characters = body_max_characters
        self._watchdog = Watchdog()
        # The adapter alone, without a session: that would look into the answer of a redirect even when
        # it is not to follow it, keep cookies, and read proxies and .netrc from the environment.
        self._adapter = GuardedAdapter(
            tls=tls_context(ca_file, tls_session_max_age_seconds),
            connections_per_receiver=connections_per_receiver,
        )

    def send(self, request: OutgoingRequest) -> Answer | NoAnswer:
        """One POST; every failure on the way is a NoAnswer, not an exception."""
        started = time.monotonic()
        deadline = Deadline(request.timeout_seconds)
        exchange = ThreadExchange(
            rule=self._rule,
            lookups=self._lookups,
            organization_id=request.organization_id,
            deadline=deadline,
        )
        try:
            url = self._targets.checked(request)
            with self._watchdog.enforce(deadline), carry_out(exchange):
                status, headers, body = self._exchange(url, request, deadline)
        except (SendFailure, requests.RequestException, HTTPError, OSError, UnicodeError) as error:
            return unanswered(_failure(error, deadline), started, exchange.clock)
        return Answer(
            status_code=status,
            headers=headers,
            body=body,
            duration_ms=milliseconds_since(started),
            phases=exchange.clock.phases(),
        )

    def close(self) -> None:
        self._adapter.close()

    def _exchange(
        self, url: str, request: OutgoingRequest, deadline: Deadline
    ) -> tuple[int, dict[str, str], str]:
        prepared = requests.Request("POST", url, headers=request.headers, data=request.body).prepare()
        response = self._adapter.send(prepared, stream=True, timeout=max(0.001, deadline.remaining()))
        complete = False
        try:
            limit = self._body_max_characters * UTF8_MAX_BYTES_PER_CHARACTER
            # Raw bytes: nothing is decompressed, so a small answer cannot become a large one.
            raw = b""
            for piece in response.raw.stream(limit + 1, decode_content=False):
                raw += piece
                if len(raw) > limit:
                    break
            complete = len(raw) <= limit
        finally:
            # Before the connection goes back to the pool: what is cut after that is another exchange's.
            deadline.watch(None)
            if complete:
                response.raw.release_conn()
            else:
                response.close()  # the rest is not wanted, so the connection cannot be used again
        if deadline.passed:
            raise SendFailure(ErrorClass.TIMEOUT, "The receiver did not answer in time")
        headers = kept_headers(list(response.headers.items()))
        return response.status_code, headers, kept_text(raw, self._body_max_characters)


@lru_cache(maxsize=4)
def tls_context(ca_file: str, session_max_age_seconds: float = 0.0) -> ssl.SSLContext:
    """The usual certificate authorities, and those of `ca_file`, if any; read once per process.

    0 seconds: each connection makes a full handshake.
    """
    context = create_urllib3_context()
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    if ca_file:
        context.load_verify_locations(ca_file)
    if session_max_age_seconds:
        resume_sessions(context, session_max_age_seconds)
    return context


def prepared_url(url: str) -> str:
    """The URL as `requests` asks for it: paths and queries escaped where need be."""
    prepared = requests.Request("POST", url).prepare().url
    assert prepared is not None
    return prepared


def _failure(error: Exception, deadline: Deadline) -> SendFailure:
    """The class of an error that came up while sending or receiving."""
    if isinstance(error, SendFailure):
        return error
    if deadline.passed or deadline.remaining() <= 0 or isinstance(error, requests.Timeout):
        return SendFailure(ErrorClass.TIMEOUT, "The receiver did not answer in time")
    if isinstance(error, requests.exceptions.SSLError):
        return SendFailure(ErrorClass.TLS, "TLS failed: the certificate or protocol was not acceptable")
    cause = error.args[0] if isinstance(error, requests.ConnectionError) and error.args else error
    if isinstance(cause, ProtocolError):
        if any(isinstance(part, ConnectionError) for part in cause.args):
            return SendFailure(
                ErrorClass.CONNECTION_RESET, "The receiver closed the connection without an answer"
            )
        return SendFailure(ErrorClass.PROTOCOL, "The answer was not valid HTTP")
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidHeader | UnicodeError):
        return SendFailure(ErrorClass.NOT_SENT, "The request could not be built from the URL and headers")
    return SendFailure(ErrorClass.NETWORK, "The connection failed")
