from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import RateLimitedError
from schemas.programs import Program
from tests.factories import program
from tests.tracker.ports import Clock
from tracker.addresses import Address
from tracker.limits import Limits

ADDRESS, OTHER = ip_address("192.0.2.1"), ip_address("192.0.2.2")


class World:
    """Limits, their clock, and how many events get through at once."""

    def __init__(self, *, address_per_s: int | None = None, addresses_max: int = 100) -> None:
        self.clock = Clock()
        self.limits = Limits(
            address_per_s=address_per_s, addresses_max=addresses_max, programs_max=100, clock_ms=self.clock
        )

    def admitted(self, address: Address | None, to: Program, *, of: int) -> int:
        return sum(self._admits(address, to) for _ in range(of))

    def _admits(self, address: Address | None, to: Program) -> bool:
        try:
            self.limits.admit(address)
            self.limits.admit_to(to, address)
        except RateLimitedError:
            return False
        return True


def test_without_a_limit_everything_passes_and_nothing_is_held() -> None:
    world = World()

    assert world.admitted(ADDRESS, program(), of=10_000) == 10_000
    assert world.limits.addresses_known == 0


def test_a_program_takes_a_second_of_its_rate_at_once_and_then_its_rate() -> None:
    world, limited = World(), program(rate_per_s=10)

    assert world.admitted(ADDRESS, limited, of=5) + world.admitted(OTHER, limited, of=50) == 10
    world.clock.now_ms += 500
    assert world.admitted(ADDRESS, limited, of=50) == 5
    world.clock.now_ms += 3_600_000
    assert world.admitted(None, limited, of=50) == 10


def test_an_address_has_a_rate_of_its_own_in_each_program() -> None:
    world, one, two = (
        World(),
        program(rate_per_address_per_s=3),
        program(program_id="2", rate_per_address_per_s=4),
    )

    assert world.admitted(ADDRESS, one, of=9) == 3
    assert world.admitted(OTHER, one, of=9) == 3
    assert world.admitted(ADDRESS, two, of=9) == 4
    assert world.admitted(None, one, of=9) == 9


def test_an_address_has_one_rate_over_all_programs_where_the_task_sets_it() -> None:
    world = World(address_per_s=5)

    assert (
        world.admitted(ADDRESS, program(), of=3) + world.admitted(ADDRESS, program(program_id="2"), of=9) == 5
    )
    assert world.admitted(OTHER, program(), of=9) == 5


def test_a_subscriber_of_ipv6_is_one_address() -> None:
    world = World(address_per_s=5)

    passed = [world.admitted(ip_address(f"2001:db8::{host}"), program(), of=1) for host in range(9)]

    assert sum(passed) == 5


@pytest.mark.parametrize(
    ("task", "fields", "of"),
    [
        (1, {}, "client address"),
        (None, {"rate_per_s": 1}, "program"),
        (None, {"rate_per_address_per_s": 1}, "client address to the program"),
    ],
)
def test_a_refusal_says_whose_limit_it_is(task: int | None, fields: dict[str, int], of: str) -> None:
    world = World(address_per_s=task)
    assert world.admitted(ADDRESS, program(**fields), of=1) == 1

    with pytest.raises(RateLimitedError, match=f"more than 1 events a second of this {of}$"):
        world.limits.admit(ADDRESS)
        world.limits.admit_to(program(**fields), ADDRESS)


def test_a_refusal_says_when_to_come_again_and_takes_nothing() -> None:
    world, slow = World(), program(rate_per_s=1)
    world.limits.admit_to(slow, ADDRESS)

    for _ in range(100):
        with pytest.raises(RateLimitedError, match="more than 1 events a second of this program") as refused:
            world.limits.admit_to(slow, ADDRESS)
        assert refused.value.retry_after_s == 1
    world.clock.now_ms += 1_000
    world.limits.admit_to(slow, ADDRESS)


def test_what_the_program_refuses_costs_the_address_nothing() -> None:
    world, limited = World(), program(rate_per_s=1, rate_per_address_per_s=2)
    assert world.admitted(OTHER, limited, of=1) == 1

    assert world.admitted(ADDRESS, limited, of=50) == 0
    world.limits.admit_to(program(rate_per_address_per_s=2), ADDRESS)
    world.limits.admit_to(program(rate_per_address_per_s=2), ADDRESS)


def test_a_changed_rate_holds_from_the_next_event_on() -> None:
    world = World()

    assert world.admitted(ADDRESS, program(rate_per_s=100), of=1) == 1
    assert world.admitted(ADDRESS, program(rate_per_s=10), of=50) == 10
    world.clock.now_ms += 1_000
    assert world.admitted(ADDRESS, program(rate_per_s=20), of=50) == 20


def test_the_addresses_known_are_bounded_and_the_one_unheard_of_longest_goes() -> None:
    world = World(address_per_s=1, addresses_max=2)
    third = ip_address("192.0.2.3")

    assert [world.admitted(each, program(), of=1) for each in (ADDRESS, OTHER, ADDRESS, third)] == [
        1,
        1,
        0,
        1,
    ]
    assert world.limits.addresses_known == 2
    assert world.admitted(ADDRESS, program(), of=1) == 0
    assert world.admitted(OTHER, program(), of=1) == 1


@given(st.integers(1, 50), st.lists(st.tuples(st.integers(-500, 3_000), st.integers(0, 80)), max_size=20))
def test_over_any_time_no_more_pass_than_the_rate_and_a_second_of_it(
    rate: int, bursts: list[tuple[int, int]]
) -> None:
    world, limited = World(), program(rate_per_s=rate)
    passed = went_on_ms = 0

    for step_ms, burst in bursts:
        world.clock.now_ms += step_ms
        went_on_ms += max(0, step_ms)
        passed += world.admitted(ADDRESS, limited, of=burst)
        assert passed <= rate * (1 + went_on_ms / 1000) + 1e-6
