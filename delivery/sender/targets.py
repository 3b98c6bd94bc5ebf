"""Judges the text of a request before anything is resolved, for both transports."""

from functools import lru_cache

from delivery.sender.result import OutgoingRequest, SendFailure, refusal
from delivery.states import ErrorClass
from subscriptions.addresses import TargetRule, ascii_url
from subscriptions.headers import cannot_be_sent
from subscriptions.plain_urls import plain_origin

# Judging a URL's text takes 2 to 50 µs, finding what was said of it 0.1; the two are about 1 KB.
URLS_KEPT = 20_000


class Targets:
    """Remembers what the rule said of each URL."""

    def __init__(self, rule: TargetRule) -> None:
        self._rule = rule
        self._judged = lru_cache(URLS_KEPT)(self._judge)
        self._origins_refusal = lru_cache(URLS_KEPT)(rule.refusal)

    def checked(self, request: OutgoingRequest) -> str:
        """The URL to send to. Judges once more: the rule may have changed since it was registered."""
        why, url = self._judged(request.url)
        if why:
            raise refusal(f"URL {why}")
        if cannot_be_sent(request.headers):
            raise SendFailure(ErrorClass.NOT_SENT, "The request could not be built from the URL and headers")
        return url

    def _judge(self, url: str) -> tuple[str | None, str]:
        """Why it is refused, or None and the URL as the HTTP library takes it."""
        if origin := plain_origin(url):
            return self._origins_refusal(origin), url
        why = self._rule.refusal(url)
        return why, url if why else ascii_url(url)
