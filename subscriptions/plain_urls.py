"""URLs in the plainest spelling, as nearly all are: no reader takes them for anything else. Pure.

To judge a URL, to name its receiver and to write it as `requests` would takes parsers 10 to 100 µs each,
and an event may have 10,000 recipients. Of a plain one everything but its origin is harmless.
"""

import re

# No upper case, no digits but ASCII's; a port as it is printed.
_ORIGIN = r"https?://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}))?"
# No part of it begins with a full stop, none is empty, nothing is escaped or has to be.
_PATH = r"(?=/)(?:/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)*/?"
_QUERY = r"(?:\?[A-Za-z0-9_.~=&-]+)?"
_PLAIN = re.compile(f"({_ORIGIN}){_PATH}{_QUERY}")


def plain_origin(url: str) -> str | None:
    """`https://host:8443`, as it is written there; None for a URL that needs a closer look."""
    found = _PLAIN.fullmatch(url)
    return None if found is None else found[1]
