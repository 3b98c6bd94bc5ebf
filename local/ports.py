"""Free TCP ports on this machine."""

import random
import socket
from collections.abc import Iterable

from local.errors import StartFailed

# Below the range from which systems take the ports of outgoing connections. A server there could
# lose its port to a client while it restarts; a client that retries could even reach itself.
ANY_PORT = range(20_000, 30_000)
# Not the shared one: processes of a test run seed that alike, and would try the same ports in turn.
_random = random.SystemRandom()


def hold_first_free(ports: Iterable[int], host: str = "127.0.0.1") -> socket.socket:
    """Listen on the first free port, so that nobody else finds it free until the socket is closed."""
    reason = "no port was named"
    for port in ports:
        holder = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        try:
            # Connections of an earlier server that linger in TIME_WAIT do not stop the next one.
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind((host, port))
            holder.listen()
            return holder
        except (OSError, OverflowError) as error:
            holder.close()
            reason = f"port {port} cannot be used: {getattr(error, 'strerror', None) or error}"
    raise StartFailed(f"{reason}; choose another with PORT=…")


def hold_any() -> socket.socket:
    """Listen on a port chosen at random, so that two starts at the same moment seldom meet."""
    return hold_first_free(_random.sample(ANY_PORT, len(ANY_PORT)))


def port_of(holder: socket.socket) -> int:
    """The port of a held socket."""
    return int(holder.getsockname()[1])


def free_port() -> int:
    """A port that is free now."""
    with hold_any() as holder:
        return port_of(holder)
