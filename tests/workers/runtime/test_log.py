from collections.abc import Mapping

import pytest

from schemas.errors import UnavailableError
from schemas.leases import Lease
from schemas.state import Entry, Piece, pack
from workers.runtime.log import (
    CARRY_BYTES,
    ENTRY_BYTES,
    LIVE_TIMES,
    PIECE_BYTES,
    Draft,
    Log,
    Slot,
    Slots,
    history,
    pieces,
    replay,
)
from workers.runtime.table import VALUE_MAX_BYTES, Entries

LEAST_BYTES = 1_000


class Writer:
    """A log, and the table that it tells."""

    def __init__(self) -> None:
        self.log = Log(least_bytes=LEAST_BYTES)
        self.entries = Entries()
        self.epoch = 0

    def commit(self, values: Mapping[str, bytes | None]) -> Draft:
        for key, value in values.items():
            self.entries.put(key, value)
        self.epoch += 1
        draft = self.log.draft({"table": self.entries}, self.epoch)
        if draft.entries:
            self.log.add(self.epoch, draft.entries, [Slot(self.epoch, f"{self.epoch}/run", 1)])
        self.freed = self.log.drop(draft.tail)
        self.entries.keep()
        self.entries.committed()
        return draft


@pytest.fixture
def writer() -> Writer:
    return Writer()


def entry(key: str, value: bytes | None) -> Entry:
    return Entry("table", key, value)


def test_a_commit_says_what_changed(writer: Writer) -> None:
    writer.commit({"a": b"1", "b": b"1"})

    assert writer.commit({"a": b"2", "c": b"1", "gone": b"1"} | {"gone": None}).entries == [
        entry("a", b"2"),
        entry("c", b"1"),
    ]
    assert writer.commit({"b": None}).entries == [entry("b", None)]
    assert writer.commit({}) == Draft([], tail=2)


def test_a_commit_that_tells_nothing_alone_is_dropped(writer: Writer) -> None:
    writer.commit({"a": b"1"})
    writer.commit({"b": b"1"})

    assert writer.commit({"a": b"2"}).tail == 2
    assert writer.freed == [Slot(1, "1/run", 1)]


def test_a_deletion_is_told_until_it_is_the_oldest_thing_told(writer: Writer) -> None:
    writer.commit({"a": b"1", "b": b"1"})
    assert writer.commit({"a": None}).tail == 1
    assert writer.commit({"b": b"2"}).tail == 3
    assert writer.log.size == len("b2")


def test_a_log_that_is_too_large_carries_its_oldest_entries_on(writer: Writer) -> None:
    writer.commit({"old": b"o" * 10})
    new = entry("new", b"n" * 20)
    while writer.log.size + new.size <= LEAST_BYTES:
        assert writer.commit({"new": b"%02d" % writer.epoch * 10}).tail == 1

    assert writer.commit({"new": new.value}) == Draft([new, entry("old", b"o" * 10)], tail=writer.epoch)


def test_what_is_carried_is_no_delta(writer: Writer) -> None:
    large = b"".join(number.to_bytes(2) for number in range(200))
    draft = writer.commit({"large": large})
    while draft.tail == 1:
        large += b"more"
        draft = writer.commit({"large": large})
        assert draft.entries[0].is_delta == (draft.tail == 1)

    assert draft.entries == [entry("large", large)]


def test_a_commit_carries_a_bounded_number_of_bytes(writer: Writer) -> None:
    writer.commit({f"{number:04}": b"v" * 1_000 for number in range(300)})
    writer.commit({f"{number:04}": b"w" * 1_000 for number in range(0, 300, 2)})
    sizes = list[int]()
    while writer.log.size > LIVE_TIMES * writer.entries.size or not sizes:
        sizes.append(sum(each.size for each in writer.commit({"0001": b"%d" % writer.epoch * 1_000}).entries))
        assert len(sizes) < 1_000
    assert max(sizes) < CARRY_BYTES + 10_000


def test_pieces_are_what_an_item_holds() -> None:
    small = [entry(f"{number}", b"v" * 100) for number in range(10_000)]
    large = [entry(f"{number}", b"v" * VALUE_MAX_BYTES) for number in range(3)]

    assert [each for piece in pieces(small + large) for each in piece] == small + large
    assert len(pieces(large)) == 3
    assert all(sum(ENTRY_BYTES + each.size for each in piece) <= PIECE_BYTES for piece in pieces(small))
    assert pieces([]) == []


def test_a_slot_is_the_largest_that_costs_no_more() -> None:
    slots = Slots([1, 2, 3, 4])
    slots.free = [Slot(1, "1/run", 1), Slot(2, "1/run", 3), Slot(3, "2/run", 9)]

    assert [slots.take(5).number, slots.take(5).number, slots.take(5)] == [2, 1, Slot(5, None, 5)]
    assert slots.take(1) == Slot(6, None, 1)
    assert slots.free == [Slot(3, "2/run", 9)]


def test_a_surplus_is_what_has_been_free_for_longest() -> None:
    slots = Slots()
    slots.free = [Slot(number, "1/run", 2) for number in range(1, 5)]

    assert [slot.number for slot in slots.surplus(5)] == [1, 2]
    assert slots.surplus(8) == []


def test_the_commits_from_head_to_tail_count() -> None:
    def of(commit: str, previous: str | None, value: bytes, *, pieces: int = 1) -> Piece:
        data = pack([entry("key", value), Entry("table of newer code", "key", value)])
        return Piece(slot=1, commit_id=commit, pieces=pieces, previous=previous, data=data)

    counting = [of("2/a", "1/a", b"2"), of("4/b", "2/a", b"4")]
    others = [of("1/a", None, b"1"), of("4/a", "2/a", b"never shown"), of("5/b", "4/b", b"not yet")]
    lease = Lease(key="lease", epoch=4, head="4/b", tail=2)

    assert history(lease, [*others, *counting]) == [[each] for each in counting]
    assert history(Lease(key="lease", epoch=9, head="4/b", tail=5), counting) == []
    with pytest.raises(UnavailableError, match="0 of its pieces are there of 2/a"):
        history(lease, counting[1:])
    with pytest.raises(UnavailableError, match="1 of 2 pieces are there of 4/b"):
        history(lease, [of("4/b", "2/a", b"4", pieces=2)])

    entries = Entries()
    for piece in counting:
        replay(piece, {"table": entries})
    assert entries.get("key") == b"4"
