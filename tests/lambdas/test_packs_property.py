"""Whatever is killed, delivered again, and meets in the packed store: each message id is counted once."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from lambdas.batch import Record
from schemas.events import Event, counts_as
from schemas.programs import Totals
from tests.factories import click, conversion, view
from tests.lambdas.memory import Killed
from tests.lambdas.world import Shard, World

EVENTS: list[Callable[..., Event]] = [view, click, conversion]
IDS = [uuid4() for _ in range(12)]
SHARDS = 2
MOST_STEPS = 12
MOMENTS = ["after query", "before put_item", "after put_item"]

Drawn = tuple[int, Callable[..., Event], bool]
frames = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(0, 11), st.sampled_from(EVENTS), st.booleans()), max_size=4),
        st.sampled_from(["key-0", "key-1"]),
        st.integers(0, SHARDS - 1),
    ),
    min_size=1,
    max_size=8,
)


class Trial:
    """A batch for each shard, and processes that deliver either of them, and know what they knew."""

    def __init__(self, drawn: Sequence[tuple[list[Drawn], str, int]], data: st.DataObject) -> None:
        self.world = World("packed")
        self._draw = data.draw
        self._processes = [self.world.persist() for _ in range(SHARDS)]
        shards = [Shard(number) for number in range(SHARDS)]
        self.batches: list[list[Record]] = [[] for _ in shards]
        for events, key, number in drawn:
            made = [kind(message_id=IDS[id_], valid=valid) for id_, kind, valid in events]
            self.batches[number].append(shards[number].frame(*made, key=key))

    def disturb(self) -> None:
        """Delivers a batch. At some step, it is killed or another process delivers the other batch."""
        number = self._draw(st.integers(0, SHARDS - 1), label="process")
        batch = self._draw(st.sampled_from(self.batches), label="batch")
        if self._draw(st.booleans(), label="meets"):
            self.world.steps.hook = self._meeting(number, batch)
        else:
            self.world.steps.kill_at(self._draw(st.integers(0, MOST_STEPS), label="step"))
        with suppress(Killed):
            self._processes[number].apply(batch)
        self.world.steps.hook = lambda _: None
        if self._draw(st.booleans(), label="starts anew"):
            self._processes[number] = self.world.persist()

    def deliver_all(self) -> None:
        for batch in self.batches:
            cut = self._draw(st.integers(0, len(batch)), label="cut")
            self.world.deliver(batch[:cut])
            self.world.deliver(batch[cut:])

    def _meeting(self, number: int, batch: list[Record]) -> Callable[[str], None]:
        moment = self._draw(st.sampled_from(MOMENTS), label="moment")
        other = self._processes[1 - number]

        def meet(step: str) -> None:
            if step == moment:
                self.world.steps.hook = lambda _: None
                for each in self.batches:
                    if each is not batch:
                        other.apply(each)

        return meet


@given(drawn=frames, data=st.data())
def test_totals_equal_distinct_ids(drawn: list[tuple[list[Drawn], str, int]], data: st.DataObject) -> None:
    trial = Trial(drawn, data)

    for _ in range(data.draw(st.integers(1, 4), label="disturbances")):
        trial.disturb()
    trial.deliver_all()

    stored, totals = trial.world.packed(), trial.world.totals()
    assert {event.message_id for event in stored} == {IDS[id_] for events, *_ in drawn for id_, *_ in events}
    assert len(stored) == totals.stored
    assert totals == Totals(**Counter(map(counts_as, stored)))
    assert trial.world.relayed.get("212313", Totals()) == totals
