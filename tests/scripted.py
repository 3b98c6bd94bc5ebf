"""A transport that opens no socket: it answers as it is told, and remembers every request."""

from collections.abc import Callable, Mapping

from delivery.sender import Answer, NoAnswer, OutgoingRequest, Transport
from delivery.states import ErrorClass


def said(status_code: int, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status_code=status_code, headers=named, body="", duration_ms=1.0)


def silent(error_class: ErrorClass) -> NoAnswer:
    return NoAnswer(error_class=error_class, message="No answer came", duration_ms=1.0)


ANSWERS: Mapping[str, Answer | NoAnswer] = {
    "accepted": said(204),
    "failed": said(500),
    "gone": said(410),
    "asked to wait": said(429, Retry_After="120"),
    "refused": silent(ErrorClass.ADDRESS_NOT_ALLOWED),
    "silent": silent(ErrorClass.TIMEOUT),
}


class Scripted(Transport):
    """`answer` decides; it may wait for an event, as a receiver that hangs."""

    def __init__(self, answer: Callable[[OutgoingRequest], Answer | NoAnswer]) -> None:
        # Nothing of the real one's: no connections, no watchdog.
        self.answer = answer
        self.requests: list[OutgoingRequest] = []

    def send(self, request: OutgoingRequest) -> Answer | NoAnswer:
        self.requests.append(request)
        return self.answer(request)

    def close(self) -> None:
        return
