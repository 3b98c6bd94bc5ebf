"""Ports of throw-away servers: processes that start at the same time must not meet."""

import random

from local.ports import free_port


def test_processes_that_are_seeded_alike_try_other_ports() -> None:
    found = []
    for _ in range(2):
        random.seed(1)  # as pytest-randomly does in each process, before each test
        found.append([free_port() for _ in range(4)])

    assert found[0] != found[1]
