import pytest

from lambdas.relay import RECORDS_PER_CALL, Relay
from schemas.errors import UpdateStreamUnavailableError
from schemas.programs import Totals
from schemas.updates import ProgramTotals, decode_update, encode_update
from tests.lambdas.memory import MemoryStream, Steps


def updates(count: int) -> list[ProgramTotals]:
    return [ProgramTotals(program_id=f"p{number}", totals=Totals(views=number)) for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, RECORDS_PER_CALL, RECORDS_PER_CALL + 1])
def test_every_update_is_put(count: int) -> None:
    stream = MemoryStream(Steps())

    Relay(stream, "updates").put(updates(count))

    assert [decode_update(data) for data in stream.records] == updates(count)


def test_a_throttled_part_is_put_again() -> None:
    stream = MemoryStream(Steps())
    stream.throttled = [3, 1]

    Relay(stream, "updates", pauses_s=(0.0, 0.0)).put(updates(5))

    assert sorted(stream.records) == sorted(encode_update(update) for update in updates(5))


def test_updates_that_are_never_taken_are_an_outage() -> None:
    stream = MemoryStream(Steps())
    stream.throttled = [2, 2, 2]

    with pytest.raises(UpdateStreamUnavailableError):
        Relay(stream, "updates", pauses_s=(0.0, 0.0)).put(updates(2))
