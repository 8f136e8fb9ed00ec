"""What failed is put back into the packed store once, however long ago it failed."""

from collections.abc import Callable

import pytest

from schemas.frames import decode_frame
from schemas.programs import Totals
from tests.factories import click, core_data, view
from tests.lambdas.memory import Killed
from tests.lambdas.world import Shard
from tests.workers.aftermath import Aftermath


@pytest.fixture
def packed() -> Aftermath:
    return Aftermath("packed")


@pytest.fixture
def shard() -> Shard:
    return Shard()


async def test_what_a_given_up_batch_had_stored_is_not_put_back(packed: Aftermath, shard: Shard) -> None:
    other = view(program=core_data(program_id="212312"))
    batch = [shard.frame(view(), click()), shard.frame(view(), other)]
    packed.deliver(batch[:1])
    packed.give_up(batch)

    await packed.replay()

    put = [event for each in packed.streams.arrived for event in decode_frame(each.data).events]
    assert put == decode_frame(batch[1].data).events
    packed.deliver_arrived()
    assert packed.totals() == packed.relayed["212313"] == Totals(views=2, clicks=1)
    assert packed.totals("212312") == Totals(views=1)
    assert packed.bucket.objects == {}


async def test_replayed_again_nothing_is_put_back(packed: Aftermath, shard: Shard) -> None:
    packed.give_up([shard.frame(view(), click())])
    packed.steps.hook = _kill_at("before delete_object")
    with pytest.raises(Killed):
        await packed.replay()
    packed.steps.hook = lambda step: None
    packed.deliver_arrived()
    before = len(packed.streams.arrived)

    await packed.replay()

    assert len(packed.streams.arrived) == before
    assert packed.totals() == Totals(views=1, clicks=1)


async def test_what_does_not_decode_goes_back_with_the_rest(packed: Aftermath, shard: Shard) -> None:
    known = shard.frame(view())
    packed.deliver([known])
    packed.give_up([known, shard.record(b"\xff poison")])

    await packed.replay()

    assert [each.data for each in packed.streams.arrived] == [b"\xff poison"]


def _kill_at(moment: str) -> Callable[[str], None]:
    def kill(step: str) -> None:
        if step == moment:
            raise Killed(step)

    return kill
