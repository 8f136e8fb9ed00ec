"""Which ports the local stack listens on."""

import random
import socket
from itertools import islice

from cdk.local.errors import PortTakenError, StartError

HOST = "127.0.0.1"
LOCALHOST = (HOST, "::1")
"""What clients may take `localhost` for."""
FREE = range(20_000, 30_000)
"""Below every system's ephemeral range: no client connection takes a port while its owner restarts."""


def tracker_ports(first: int) -> tuple[int, int]:
    """`first` and the next one, or two free ones for 0. Raises PortTakenError for one in use."""
    if first == 0:
        one, two = free_ports(2)
        return one, two
    ports = (first, first + 1)
    for port in ports:
        if not is_free(port):
            raise PortTakenError(
                f"Port {port} is in use. Stop what listens there (`lsof -i :{port}` names it), "
                f"or choose another: PORT=9000 make run"
            )
    return ports


def free_ports(count: int) -> tuple[int, ...]:
    """Distinct ports that nothing listens on."""
    found = tuple(islice(filter(is_free, random.sample(FREE, len(FREE))), count))
    if len(found) < count:
        raise StartError(f"No {count} free ports between {FREE.start} and {FREE.stop}.")
    return found


def is_free(port: int) -> bool:
    """Whether a server can listen on `port`, and no other answers there under the name localhost."""
    return _binds(port) and not any(_answers(host, port) for host in LOCALHOST)


def _binds(port: int) -> bool:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((HOST, port))
        except OSError:
            return False
    return True


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=0.2).close()
    except OSError:
        return False
    return True
