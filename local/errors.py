"""The one error of local mode: something cannot start, and the message says what and why."""


class StartFailed(Exception):
    """A part of the local service cannot start; the message is meant for the person at the terminal."""
