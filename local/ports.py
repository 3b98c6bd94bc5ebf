"""Free TCP ports on this machine."""

import random
import socket
from itertools import islice

# Below the range from which systems take the ports of outgoing connections. A server there could
# lose its port to a client while it restarts; a client that retries could even reach itself.
FIRST_PORT, LAST_PORT = 20_000, 29_999


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on this port now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Connections of an earlier server that linger in TIME_WAIT do not stop the next one.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Different free ports, at random, so that two starts at the same moment seldom meet."""
    ports = range(FIRST_PORT, LAST_PORT + 1)
    return list(islice(filter(is_free, random.sample(ports, len(ports))), count))


def first_free(start: int, host: str = "127.0.0.1", tries: int = 100) -> int | None:
    """The first free port from `start` upwards, or None."""
    return next((port for port in range(start, start + tries) if is_free(port, host)), None)
