from threading import Barrier, Lock

import pytest

from lambdas.calls import IN_FLIGHT, aws_client, chunks, in_flight, until_done


def test_several_calls_are_in_flight_and_answer_in_order() -> None:
    meeting = Barrier(IN_FLIGHT, timeout=10)

    def meet(item: int) -> int:
        meeting.wait()
        return -item

    assert list(in_flight(meet, range(IN_FLIGHT))) == [-item for item in range(IN_FLIGHT)]


@pytest.mark.parametrize("count", [0, 1, 2, 3 * IN_FLIGHT])
def test_every_item_is_called_once(count: int) -> None:
    called: list[int] = []
    lock = Lock()

    def call(item: int) -> int:
        with lock:
            called.append(item)
        return item

    assert list(in_flight(call, range(count))) == list(range(count))
    assert sorted(called) == list(range(count))


def test_an_error_comes_in_its_place_and_stops_what_has_not_begun() -> None:
    called: list[int] = []

    def call(item: int) -> int:
        called.append(item)
        if item == 1:
            raise TimeoutError
        return item

    answers = in_flight(call, range(1_000))

    assert next(answers) == 0
    with pytest.raises(TimeoutError):
        next(answers)
    assert len(called) < 1_000


def test_what_a_call_leaves_over_is_called_again() -> None:
    calls: list[list[int]] = []

    def call(items: list[int]) -> list[int]:
        calls.append(items)
        return items[1:]

    assert until_done(call, [1, 2, 3], (0.0, 0.0, 0.0)) == []
    assert calls == [[1, 2, 3], [2, 3], [3]]


def test_what_is_left_after_the_last_pause_is_returned() -> None:
    assert until_done(lambda items: items, [1, 2], (0.0, 0.0)) == [1, 2]


def test_chunks_keep_the_order() -> None:
    assert chunks([1, 2, 3, 4, 5], 2) == [[1, 2], [3, 4], [5]]
    assert chunks([], 2) == []


def test_a_client_gives_up_within_seconds() -> None:
    client = aws_client("dynamodb", "eu-west-1")
    config = client.meta.config

    assert client.meta.region_name == "eu-west-1"
    assert config.retries["total_max_attempts"] * (config.connect_timeout + config.read_timeout) < 30
