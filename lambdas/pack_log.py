"""What is known of one program's packs, and what its next pack is: no call of AWS is made here."""

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from lambdas.store import Arrival
from schemas.dynamodb import LaneTotals, expires_at_s
from schemas.events import Event, counts_as
from schemas.frames import decode_frame, encode_frame, split_frames
from schemas.packs import PACK_TARGET_BYTES, Fence, Head, Pack, Place
from schemas.programs import Totals

KEPT_MS = 86_400_000
"""A pack lives so long at least, whatever its events' retention: a reader's next pack builds on it."""
FENCE_KEPT_MS = 8 * 86_400_000
"""A lane that stood still for so long has ended: Lambda delivers no record older than seven days
(AWS Lambda API reference, CreateEventSourceMapping, MaximumRecordAgeInSeconds)."""
WHOLE_RECORD = 2**32
"""Past every event of a frame."""
NO_EVENTS = (0, encode_frame([]))
"""How many events, and their frame."""


class Next(NamedTuple):
    """A pack that may be stored now, and what is in its frame."""

    pack: Pack
    events: list[Event]


class Recent:
    """The message ids of the packs that are not older than the window, as integers."""

    def __init__(self) -> None:
        self.at_ms: dict[int, int] = {}
        """Of each id, when it was stored last."""
        self._packs: deque[tuple[int, list[int]]] = deque()

    def add(self, at_ms: int, ids: list[int]) -> None:
        self._packs.append((at_ms, ids))
        self.at_ms.update(dict.fromkeys(ids, at_ms))

    def forget_until(self, at_ms: int) -> None:
        while self._packs and self._packs[0][0] <= at_ms:
            for id_ in self._packs.popleft()[1]:
                if self.at_ms.get(id_, at_ms + 1) <= at_ms:
                    del self.at_ms[id_]


class PackLog:
    """A program's log as of pack `number`. Not safe to share between threads.

    `window_ms` is for how long a message id is known after its event was stored.
    """

    def __init__(self, program_id: str, head: Head, lanes: dict[str, LaneTotals], *, window_ms: int) -> None:
        """From the head, and the lanes that were counted before the program had packs."""
        self.program_id = program_id
        self.number = self.headed = head.number
        self.at_ms = 0
        self.recent = Recent()
        self._totals = head.totals
        self._before = sum((each.totals for each in lanes.values()), Totals())
        self._window_ms = window_ms
        earlier = {
            lane: Fence(Place.of(each.sequence_number, WHOLE_RECORD), 0) for lane, each in lanes.items()
        }
        self._fences = earlier | dict(head.fences)

    @property
    def totals(self) -> Totals:
        """Of the program: what its packs count, and what was counted before."""
        return self._before + self._totals

    @property
    def head(self) -> Head:
        return Head(number=self.number, totals=self._totals, fences=self._fences)

    def add(self, packs: Iterable[Pack]) -> None:
        """Packs as they were stored, in order; those up to `number` are only remembered."""
        for pack in packs:
            self.append(Next(pack, decode_frame(pack.frame).events))

    def append(self, stored: Next) -> None:
        """What `next` gave, once it is stored."""
        pack, events = stored
        self.recent.add(pack.at_ms, [event.message_id.int for event in events])
        self.at_ms = pack.at_ms
        if pack.number > self.number:
            self.number = pack.number
            self._totals += Totals(**Counter(map(counts_as, events)))
            self._fences[pack.lane] = Fence(pack.place, pack.at_ms)

    def next(self, lane: str, arrived: Sequence[Arrival], now_ms: int) -> Next | None:
        """The pack of the first events that are past the lane's fence; None when none is. They are in the
        lane's order.

        Resends are left out, and the fence moves past them. A pack is cut where it would grow too large,
        and where retention changes, so that each event goes in its time.
        """
        fence = self._fences.get(lane)
        fresh = arrived[bisect_right(arrived, fence.place, key=place_of) :] if fence else arrived
        if not fresh:
            return None
        at_ms = max(now_ms, self.at_ms)
        self._forget(at_ms)
        new, end = self._new(fresh)
        count, frame = next(split_frames([each.payload for each in new], PACK_TARGET_BYTES), NO_EVENTS)
        last = fresh[end - 1] if count == len(new) else new[count - 1]
        events = [each.event for each in new[:count]]
        pack = Pack(
            number=self.number + 1,
            at_ms=at_ms,
            lane=lane,
            place=place_of(last),
            frame=frame,
            expires_at_s=_expires_at_s(fresh[0].event.retention_days, events, at_ms),
        )
        return Next(pack, events)

    def _new(self, fresh: Sequence[Arrival]) -> tuple[list[Arrival], int]:
        """The first of each message id that is not known, and where retention changes."""
        known, days = self.recent.at_ms, fresh[0].event.retention_days
        firsts: dict[int, Arrival] = {}
        for end, each in enumerate(fresh):
            if each.event.retention_days != days:
                return list(firsts.values()), end
            id_ = each.event.message_id.int
            if id_ not in known:
                firsts.setdefault(id_, each)
        return list(firsts.values()), len(fresh)

    def _forget(self, now_ms: int) -> None:
        self.recent.forget_until(now_ms - self._window_ms)
        for lane, fence in list(self._fences.items()):
            if fence.moved_at_ms and fence.moved_at_ms < now_ms - FENCE_KEPT_MS:
                del self._fences[lane]


def place_of(arrival: Arrival) -> Place:
    return Place.of(arrival.record.sequence_number, arrival.index)


def by_lane(arrivals: Iterable[Arrival]) -> dict[str, list[Arrival]]:
    """In the order of each lane."""
    lanes: dict[str, list[Arrival]] = {}
    for record, some in groupby(arrivals, key=attrgetter("record")):
        lanes.setdefault(record.lane, []).extend(some)
    return lanes


def _expires_at_s(days: int | None, events: Sequence[Event], at_ms: int) -> int | None:
    """When all of the events may go, and nothing builds on the pack any more."""
    if days is None and events:
        return None
    ends = [end for event in events if (end := expires_at_s(event)) is not None]
    return max((at_ms + KEPT_MS) // 1_000, *ends) if ends else (at_ms + KEPT_MS) // 1_000
