import pytest

from tests.load.factories import plan
from tests.load.schedule import Schedule, requests_of


def test_at_a_steady_rate_each_event_is_due_in_its_turn() -> None:
    schedule = Schedule([1], rate_per_s=100)

    assert [schedule.due_s(request) for request in (0, 1, 100)] == [0.0, 0.01, 1.0]


def test_a_request_is_due_with_its_first_event() -> None:
    schedule = Schedule([1, 1, 10], rate_per_s=12)

    assert [list(schedule.events(request)) for request in range(3)] == [[0], [1], list(range(2, 12))]
    assert schedule.events(3) == range(12, 13)
    assert schedule.due_s(3) == 1.0


def test_a_ramp_rises_to_the_rate_and_goes_on_at_it() -> None:
    schedule = Schedule([1], rate_per_s=100, ramp_s=4)
    due_s = [schedule.due_s(request) for request in range(400)]

    assert due_s == sorted(due_s)
    assert due_s[50] == pytest.approx(2.0)
    assert due_s[200] == pytest.approx(4.0)
    assert due_s[300] == pytest.approx(5.0)


def test_of_a_saturation_everything_is_due_at_once() -> None:
    schedule = Schedule([10], rate_per_s=None, ramp_s=4)

    assert {schedule.due_s(request) for request in range(10)} == {0.0}


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_processes_share_the_requests(processes: int) -> None:
    asked = plan(processes=processes, events_max=100, batch_sizes=(1, 2))
    shares = [list(requests_of(asked, process)) for process in range(processes)]

    assert sorted(request for share in shares for request in share) == list(range(67))


def test_a_load_ends_by_its_time_or_its_number() -> None:
    assert len(list(requests_of(plan(rate_per_s=100, duration_s=2.0), 0))) == 200
    assert len(list(requests_of(plan(rate_per_s=100, duration_s=2.0, events_max=50), 0))) == 50
    assert len(list(requests_of(plan(rate_per_s=None, events_max=50, batch_sizes=(20,)), 0))) == 2
