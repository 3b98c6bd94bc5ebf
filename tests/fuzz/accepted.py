"""All that the checks may complain of, each with its reason. There is no other place for exceptions."""

import json
from dataclasses import dataclass
from typing import Any

REFUSED = "positive_data_acceptance"
TAKEN = "negative_data_rejection"


@dataclass(frozen=True, kw_only=True)
class Exemption:
    """A complaint of `check` that is none, where all that is given here is so."""

    check: str
    reason: str
    code: str | None = None
    """The stable code of the answer's error; eachlabs' errors have none."""
    text: str = ""
    """What the answer says."""
    path: str = "/"
    """How the path begins."""
    method: str = ""
    empty_query: bool = False
    """Is a value of the query empty?"""

    def covers(self, check: str, case: Any, response: Any) -> bool:
        return (
            check == self.check
            and self.code in (None, code_of(response))
            and self.text in response.text
            and case.path.startswith(self.path)
            and case.method.startswith(self.method)
            and (not self.empty_query or "" in (case.query or {}).values())
        )


def rule(
    code: str, reason: str, *, path: str = "/", text: str = "", method: str = ""
) -> tuple[Exemption, ...]:
    """What a rule refuses although the document allows it, for JSON Schema cannot say it."""
    known = Exemption(check=REFUSED, code=code, reason=reason, path=path, method=method)
    in_eachlabs_words = Exemption(check=REFUSED, text=text, reason=reason, path="/eachlabs/")
    return (known, in_eachlabs_words) if text else (known,)


EXEMPTIONS: tuple[Exemption, ...] = (
    *rule(
        "url_not_allowed",
        "where webhooks may go is the operator's setting, and a question of how a host is spelled",
        text="webhook_url ",
    ),
    *rule("in_the_future", "how late it is, the document cannot know", text="lies in the future"),
    *rule("too_early", "a report cannot lie before its run, which the document does not know"),
    *rule("empty_range", "of two times one has to be the later one"),
    *rule("secret_needed", "which schemes need a secret depends on two fields, and on what is stored"),
    *rule("bad_secret", "which texts serve depends on the schemes, which may be stored"),
    *rule("reserved_header", "which headers are the service's own, whatever their case"),
    *rule("duplicate", "names of headers that differ in their case only"),
    *rule("contradiction", "callbackUrl and webhook_url are one field of two names", path="/leaperone/"),
    *rule("max_length", "a target without a scheme gets https:// and is longer then", path="/skyvern/"),
    *rule("impossible_move", "Skyvern says 400 where this service says 409", path="/skyvern/"),
    *rule("not_ended", "Skyvern says 400 where this service says 409", path="/skyvern/"),
    *rule("format_cannot_carry_event", "a change meets what is stored, here the events", method="PATCH"),
    *rule("invalid", "a change meets what is stored: a dialect", method="PATCH", path="/v1/workflows/"),
    *rule("downgrade", "a change meets what is stored, here a newer format", method="PATCH"),
    *rule(
        "idempotency_key_reused",
        "whether a key is new depends on what was called before",
        text="this key was used for a call with another body",
    ),
    *rule("blank", "texts are trimmed: one of blanks alone is empty", text="may not be blank"),
    *rule("bad_character", "NUL and lone surrogates can be stored nowhere"),
    Exemption(
        check=REFUSED,
        code="bad_id",
        text="must start with",
        path="/v1/",
        reason="what form an imported id has depends on the dialect of a workflow that is stored",
    ),
    Exemption(
        check=TAKEN,
        empty_query=True,
        reason="an empty value of a query is the same as none, as a form sends it",
    ),
)


def code_of(response: Any) -> str | None:
    """The stable code of an error, whose place depends on the dialect."""
    try:
        body = json.loads(response.content)
    except ValueError:
        return None
    inner = body.get("error") if isinstance(body, dict) else None
    found: str | None = (inner if isinstance(inner, dict) else body).get("code")
    return found


def is_accepted(failure: Any, case: Any, response: Any) -> bool:
    return any(
        exemption.covers(check, case, response) for exemption in EXEMPTIONS for check in failure.checks
    )
