"""Secrets that are planted, and a look into every corner for each of them in every form."""

import base64
import re
import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urljoin, urlsplit

import psycopg2
import redis
import requests

from local.stack import Stack

PAGES_MAX = 600
LEAVE = ("/logout/", "/jsi18n/", "/password_change/")


def canary(name: str) -> str:
    """A text that is nowhere else, with characters that each encoding writes in its own way."""
    return f"{name}/{secrets.token_hex(6)}+{secrets.token_hex(6)}="


def forms(secret: str) -> Iterator[str]:
    """As it is, URL-encoded, as the database shows bytes, and in base64 wherever it begins there."""
    raw = secret.encode()
    yield from {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), raw.hex()}
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + raw).decode()
        certain = coded[4 if before else 0 : 4 * ((before + len(raw)) // 3)]
        yield from {certain, certain.replace("+", "-").replace("/", "_")}


@dataclass
class Aviary:
    """All canaries by name, and where each was seen."""

    secrets: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)
    looked_at: int = 0

    def add(self, name: str, secret: str | None = None) -> str:
        self.secrets[name] = canary(name) if secret is None else secret
        return self.secrets[name]

    def look(self, place: str, text: str) -> None:
        self.looked_at += 1
        for name, secret in self.secrets.items():
            if any(form in text for form in forms(secret)):
                self.seen.append((name, place))

    def look_everywhere(self, stack: Stack) -> None:
        for place, text in (*tables(stack), *broker(stack), *files(stack)):
            self.look(place, text)


def tables(stack: Stack) -> Iterator[tuple[str, str]]:
    """Every row of every table as text; bytes are hex there."""
    with closing(psycopg2.connect(stack.settings["DATABASE_URL"])) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            for (row,) in cursor.fetchall():
                yield f"table {table}", row


def broker(stack: Stack) -> Iterator[tuple[str, str]]:
    """Every key with what is in it."""
    read = {"string": ("GET",), "list": ("LRANGE", 0, -1), "hash": ("HGETALL",), "set": ("SMEMBERS",)}
    read["zset"] = ("ZRANGE", 0, -1)
    with closing(redis.Redis.from_url(stack.settings["BROKER_URL"], decode_responses=True)) as client:
        for key in client.scan_iter():
            verb, *rest = read[str(client.type(key))]
            value: Any = client.execute_command(verb, key, *rest)  # type: ignore[no-untyped-call]
            yield f"broker {key}", f"{key} {value}"


def files(stack: Stack) -> Iterator[tuple[str, str]]:
    """Every log, beat's own file, and all that the broker was ever told (its append-only file)."""
    found = [*(stack.folder / "logs").iterdir(), *stack.folder.glob("beat-schedule*")]
    found += [path for path in (stack.folder / "valkey").rglob("*") if path.suffix != ".conf"]
    for path in (path for path in found if path.is_file()):
        yield f"file {path.name}", Path(path).read_bytes().decode(errors="replace")


def pages(session: requests.Session, base_url: str, *starts: str) -> Iterator[tuple[str, str]]:
    """Every page below /admin/ that links lead to, and the other starts; headers are part of a page."""
    waiting, known = list(starts), set(starts)
    while waiting and len(known) < PAGES_MAX:
        path = waiting.pop()
        answer = session.get(base_url + path, timeout=30, allow_redirects=False)
        yield f"page {path}", f"{answer.headers}\n{answer.text}"
        for link in re.findall(r'(?:href|src)="([^"]+)"', answer.text):
            to = urlsplit(urljoin(base_url + path, link.replace("&amp;", "&")))
            # Lists can be filtered and sorted in endless ways: one step into each is enough.
            next_path = to.path + (f"?{to.query}" if to.query and "?" not in path else "")
            is_ours = f"{to.scheme}://{to.netloc}" == base_url and to.path.startswith("/admin/")
            if is_ours and next_path not in known and not to.path.endswith(LEAVE):
                known.add(next_path)
                waiting.append(next_path)
