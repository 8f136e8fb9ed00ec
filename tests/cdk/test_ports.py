import socket
from collections.abc import Iterator

import pytest

from cdk.local.errors import PortTakenError
from cdk.local.ports import FREE, HOST, free_ports, is_free, tracker_ports


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as server:
        server.bind((HOST, free_ports(1)[0]))
        server.listen()
        yield server.getsockname()[1]


def test_free_ports_are_distinct_and_outside_the_ephemeral_range() -> None:
    ports = free_ports(20)

    assert len(set(ports)) == 20
    assert all(port in FREE for port in ports)


def test_a_port_with_a_server_is_not_free(taken: int) -> None:
    assert not is_free(taken)


def test_a_port_that_another_server_answers_as_localhost_is_not_free() -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    with server:
        assert not is_free(server.getsockname()[1])


def test_trackers_take_neighbouring_ports() -> None:
    (first,) = (port for port in free_ports(1))

    assert tracker_ports(first) == (first, first + 1)


def test_zero_picks_ports() -> None:
    one, two = tracker_ports(0)

    assert one != two


@pytest.mark.parametrize("offset", [0, 1])
def test_a_port_in_use_is_named_with_what_to_do(taken: int, offset: int) -> None:
    with pytest.raises(PortTakenError, match=rf"Port {taken} is in use.*PORT=9000 make run"):
        tracker_ports(taken - offset)
