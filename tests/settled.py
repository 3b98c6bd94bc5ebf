"""Answers without what is another one each time: ids, secrets and times become the same made-up ones."""

import base64
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from string import ascii_letters, digits
from typing import Any

BEGAN = datetime(2026, 1, 31, 15, 20, 42, 160725, tzinfo=UTC)
TIME = re.compile(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?")
# What the story itself says.
SAID = "2026-01-31T00:00:00Z"
UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-([47])[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b")
EVENT = re.compile(r"\bevt_[0-9a-f]{32}\b")
PREFIXED = re.compile(r"\b(org|wf|wfv|run|wkf|vsp|rnp|img)[_-][A-Za-z0-9]{10,}\b")
NUMBERED = re.compile(r"\b(wr|wpid|w|tsk|tsk_v2)_\d{18,19}\b")
SECRET = re.compile(r"\b(whsec|whpk)_[A-Za-z0-9+/=]+")
API_KEY = re.compile(r"\brhk_[0-9a-f]+")
SIGNATURE = re.compile(r"\b(v1a?),[A-Za-z0-9+/=]+")
HEX_SIGNATURE = re.compile(r"\b[0-9a-f]{64}\b")
LINK = re.compile(r"\bhttp://127\.0\.0\.1:8000/(\S+)\btoken=\S+")
UNIX = re.compile(r"\b1[78]\d{8}\b")
# Integers that name something: a subscription, a key.
NUMBERS = ("id", "subscription_id", "key_id")
MILLISECONDS = ("duration_ms", "latency_ms")


def settled(value: Any) -> Any:
    """The same value for the same story, whenever it is told."""
    return Settling(value).done(value)


def timeless(value: Any) -> Any:
    """Without times: of two that are almost the same now one is first, now the other."""
    if isinstance(value, dict):
        return {name: timeless(child) for name, child in value.items()}
    if isinstance(value, list):
        return [timeless(child) for child in value]
    return TIME.sub("then", value) if isinstance(value, str) else value


class Settling:
    """What stands for what, by the order in which it came."""

    def __init__(self, value: Any) -> None:
        texts = [text for text in _texts(value) if isinstance(text, str)]
        times = {found.group(0) for text in texts for found in TIME.finditer(text)} - {SAID}
        order = sorted({_read(text) for text in times})
        self._times = {moment: BEGAN + timedelta(seconds=0.25) * index for index, moment in enumerate(order)}
        self._names: dict[str, str] = {}
        self._keys: dict[str, int] = {}
        self._counts: Counter[Any] = Counter()
        self._numbers: dict[int, int] = {}

    def done(self, value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: self.done(child, key) for key, child in value.items()}
        if isinstance(value, list):
            return [self.done(child, name) for child in value]
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            if name in NUMBERS:
                return self._numbers.setdefault(int(value), 17 + len(self._numbers))
            return 38.214 if name == "duration_ms" else 38 if name == "latency_ms" else value
        return value

    def _text(self, text: str) -> str:
        text = LINK.sub(r"https://hooks.example.com/\1token=…", text)
        text = TIME.sub(lambda found: self._time(found.group(0)), text)
        text = API_KEY.sub(lambda found: self._key(found.group(0)), text)
        for pattern, make in KINDS:
            text = pattern.sub(lambda found, make=make: self._name(found.group(0), make), text)  # type: ignore[misc]
        return text

    def _key(self, old: str) -> str:
        """A key and its prefix, which is shown in lists, stay alike."""
        number = self._keys.setdefault(old[:12], len(self._keys))
        return f"rhk_{number:08x}".ljust(len(old), "0")

    def _name(self, old: str, make: Callable[[str, int], str]) -> str:
        if old not in self._names:
            # Each kind is counted for itself: how many seconds there were is another number each time.
            self._counts[make] += 1
            made = make(old, self._counts[make])
            self._names[old] = made
            self._names[made] = made
        return self._names[old]

    def _time(self, old: str) -> str:
        if old == SAID:
            return old
        moment = self._times[_read(old)]
        digits_ = "microseconds" if "." in old else "seconds"
        text = moment.replace(tzinfo=None).isoformat(timespec=digits_)
        return text + ("Z" if old.endswith("Z") else "+00:00" if old.endswith("+00:00") else "")


def _texts(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for child in value:
            yield from _texts(child)
    else:
        yield value


def _read(text: str) -> datetime:
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _uuid(old: str, number: int) -> str:
    return f"019c12d3-a4b5-{old[14]}c8e-9f0a-{number:012x}"


def _prefixed(old: str, number: int) -> str:
    prefix = re.match(r"[a-z]+[_-]", old)
    assert prefix is not None
    random = Random(f"{prefix.group(0)}{number}")
    return prefix.group(0) + "".join(random.choices(ascii_letters + digits, k=len(old) - prefix.end()))


def _secret(old: str, number: int) -> str:
    return f"{old.partition('_')[0]}_{base64.b64encode(f'{number:032}'.encode()).decode()}"


Make = Callable[[str, int], str]
KINDS: Sequence[tuple[re.Pattern[str], Make]] = (
    (UUID, _uuid),
    (EVENT, lambda old, number: f"evt_019c12d3a4b57c8e9f0a{number:012x}"),
    (PREFIXED, _prefixed),
    (NUMBERED, lambda old, number: f"{old.rpartition('_')[0]}_{490440779503357990 + number}"),
    (SECRET, _secret),
    (SIGNATURE, lambda old, number: f"{old.partition(',')[0]},…"),
    (HEX_SIGNATURE, lambda old, number: "…"),
    (UNIX, lambda old, number: "1769872842"),
)
