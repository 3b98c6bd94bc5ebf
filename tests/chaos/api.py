"""The HTTP API as a careful caller uses it: a call that was not answered is made again until it is."""

import threading
import time
from collections import Counter
from typing import Any

import requests

ANSWER_WITHIN_SECONDS = 5.0
GIVE_UP_SECONDS = 60.0
PAUSE_SECONDS = 0.3
NO_RETRY_AFTER = " without Retry-After"


class GivenUp(Exception):
    """No 2xx within the time: nobody knows whether it happened."""


class Refused(Exception):
    """The API said that the call itself is wrong: a mistake of this suite, or a finding."""


class Answers:
    """How often which answer came, over all callers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1

    @property
    def counts(self) -> dict[str, int]:
        with self._lock:
            return dict(sorted(self._counts.items()))


class Caller:
    """One thread's connection to the API."""

    def __init__(self, base_url: str, key: str, answers: Answers) -> None:
        self._base_url = base_url
        self._answers = answers
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {key}"

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The body of the 2xx, or None for a 409: what was asked for is there already.

        Only for calls that may be repeated. Raises GivenUp, Refused.
        """
        ends = time.monotonic() + GIVE_UP_SECONDS
        while time.monotonic() < ends:
            answer = self._once(method, path, body)
            if answer is not None and answer.ok:
                return answer.json() if answer.content else None
            if answer is not None and answer.status_code == requests.codes.conflict:
                return None
            if answer is not None and answer.status_code < requests.codes.server_error:
                raise Refused(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
            time.sleep(PAUSE_SECONDS)
        raise GivenUp(f"{method} {path}")

    def _once(self, method: str, path: str, body: Any) -> requests.Response | None:
        """The answer to one try, or None if none came."""
        try:
            answer = self._session.request(
                method, self._base_url + path, json=body, timeout=ANSWER_WITHIN_SECONDS
            )
        except requests.RequestException as error:
            self._answers.add(type(error).__name__)
            return None
        unavailable = answer.status_code == requests.codes.unavailable
        when = NO_RETRY_AFTER if unavailable and "Retry-After" not in answer.headers else ""
        self._answers.add(f"{answer.status_code}{when}")
        return answer
