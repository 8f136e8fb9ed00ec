"""The log of an agent's tables on one shard: what counts of it, and what the next commit has to say. Pure.

A commit says what changed. So that the log stays near the size of what it tells, commits carry entries on:
those that the oldest commit told last are told again, until it is needed no more. A commit carries about as
much as it has to say itself, so the log is never written anew at once.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import NamedTuple

from schemas.errors import UnavailableError
from schemas.leases import Lease
from schemas.state import Entry, Piece, epoch_of, unpack
from workers.runtime.table import Entries

LIVE_TIMES = 2
"""The log may be so many times as large as what it tells."""
CARRY_BYTES = 65_536
"""A commit that has little to say carries as much as this."""
PIECE_BYTES = 390_000
"""Of 400 KB, that names and keys of the item count in too (DynamoDB, "Quotas"). Packed, it is less."""
ENTRY_BYTES = 16
"""What an entry takes beside its texts and its value, at most."""

Tables = Mapping[str, Entries]


class Place(NamedTuple):
    """Where a value stands."""

    table: str
    key: str


class Slot(NamedTuple):
    """An item of the log: the commit it has a piece of, None for a new one, and its write units."""

    number: int
    commit_id: str | None
    units: int


class Draft(NamedTuple):
    """What a commit is to say, and the oldest commit that counts once it has."""

    entries: list[Entry]
    tail: int


class Kept(NamedTuple):
    """A commit that counts, and the places that it gave a value, or none, apart from all others."""

    epoch: int
    places: list[Place]
    size: int
    slots: Sequence[Slot]


class Log:
    """The commits of a lease that count, and where each entry was told last, not as a delta."""

    def __init__(self, *, least_bytes: int) -> None:
        self.size = 0
        """Bytes that the commits which count have said, before they were packed."""
        self._least_bytes = least_bytes
        self._commits: dict[int, Kept] = {}
        self._told: dict[Place, int] = {}

    @property
    def slots(self) -> list[Slot]:
        """Those that count."""
        return [slot for kept in self._commits.values() for slot in kept.slots]

    def draft(self, tables: Tables, epoch: int) -> Draft:
        """What changed, and what has to be carried on from the oldest commits."""
        says = {Place(entry.table, entry.key): entry for entry in _changed(tables)}
        own = sum(each.size for each in says.values())
        excess = self.size + own - max(self._least_bytes, LIVE_TIMES * sum(of.size for of in tables.values()))
        room = max(own, CARRY_BYTES)
        for kept in self._commits.values():
            for entry in self._living(kept, tables, says):
                if excess <= 0 or room <= 0:
                    return Draft(list(says.values()), kept.epoch)
                says[Place(entry.table, entry.key)] = entry
                excess, room = excess + entry.size, room - entry.size
            excess -= kept.size
        return Draft(list(says.values()), epoch)

    def add(self, epoch: int, entries: Iterable[Entry], slots: Sequence[Slot]) -> None:
        """A commit counts from now on."""
        places, size = [], 0
        for entry in entries:
            size += entry.size
            if not entry.is_delta:
                places.append(Place(entry.table, entry.key))
        self._told.update(dict.fromkeys(places, epoch))
        self._commits[epoch] = Kept(epoch, places, size, slots)
        self.size += size

    def drop(self, tail: int) -> list[Slot]:
        """No commit before `tail` counts any more. Returns their slots."""
        gone = [self._commits.pop(epoch) for epoch in list(self._commits) if epoch < tail]
        for kept in gone:
            self.size -= kept.size
            for place in kept.places:
                if self._told[place] == kept.epoch:
                    del self._told[place]
        return [slot for kept in gone for slot in kept.slots]

    def _living(self, kept: Kept, tables: Tables, says: Mapping[Place, Entry]) -> Iterator[Entry]:
        """What only this commit tells of, and nobody deleted."""
        while kept.places and self._told.get(kept.places[-1]) != kept.epoch:
            kept.places.pop()
        for place in reversed(kept.places):
            said = says.get(place)
            value = tables[place.table].get(place.key)
            if self._told[place] == kept.epoch and value is not None and (said is None or said.is_delta):
                yield Entry(place.table, place.key, value)


class Slots:
    """The items of a log that hold nothing that counts: to be written over, which costs no more than a new
    item does, or to be deleted."""

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self.free: list[Slot] = []
        self._last = max(numbers, default=0)

    def take(self, units: int) -> Slot:
        """The largest that so many write units are enough for, else a new one."""
        fitting = max(
            (slot for slot in self.free if slot.units <= units), key=attrgetter("units"), default=None
        )
        if fitting is None:
            self._last += 1
            return Slot(self._last, None, units)
        self.free.remove(fitting)
        return fitting

    def surplus(self, units: int) -> list[Slot]:
        """Those free longest, without which so many write units are enough for what is free."""
        excess = sum(slot.units for slot in self.free) - units
        before = accumulate((slot.units for slot in self.free), initial=0)
        return [slot for slot, gone in zip(self.free, before, strict=False) if gone < excess]


def pieces(entries: Iterable[Entry]) -> list[list[Entry]]:
    """The entries in their order, as many in each as an item takes."""
    made: list[list[Entry]] = []
    room = 0
    for entry in entries:
        size = ENTRY_BYTES + len(entry.table) + entry.size
        if not made or size > room:
            made.append([])
            room = PIECE_BYTES
        made[-1].append(entry)
        room -= size
    return made


def history(lease: Lease, pieces: Iterable[Piece]) -> list[list[Piece]]:
    """The pieces of each commit that counts, oldest first.

    Raises UnavailableError where one is missing: of a lease that is someone else's by now.
    """
    found = defaultdict(list)
    for piece in pieces:
        found[piece.commit_id].append(piece)
    counting = []
    name = lease.head
    while name is not None and epoch_of(name) >= lease.tail:
        commit = found[name]
        of = commit[0].pieces if commit else "its"
        if len(commit) != of:
            raise UnavailableError(f"{lease.key}: only {len(commit)} of {of} pieces are there of {name}")
        counting.append(commit)
        name = commit[0].previous
    return counting[::-1]


def replay(piece: Piece, tables: Tables) -> list[Entry]:
    """Tells tables, which are as the commits before have left them, what this one says. Returns that; what it
    says of other tables is passed over."""
    entries = [entry for entry in unpack(piece.data) if entry.table in tables]
    for entry in entries:
        of = tables[entry.table]
        of.load(entry.key, entry.value_after(of.get(entry.key)))
    return entries


def _changed(tables: Tables) -> Iterator[Entry]:
    for name, of in tables.items():
        for key, value, before in of.changes():
            if value != before:
                yield Entry.of(name, key, value, before)
