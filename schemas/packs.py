"""Packs: the events that a program got within a batch, as one item; a program's packs are a log.

    events   bucket "{program_id}#packs", message_id "{number}"   a pack: events, how far its lane has come
    totals   program_id, lane "packs"                             the head: counts and fences up to a pack

Packs are numbered without a gap from 1 on, and a number is inserted only where it is free, by one who knows
every pack before it. So what a program has counted, and up to where in each lane, follows from its packs
alone (docs/decisions/0026-packed-store.md). The head says it too, so that old packs may expire; it may be
behind the newest.
"""

import zlib
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from schemas.dynamodb import EXPIRES_AT, Item, lane_key
from schemas.programs import Totals

PACKS_LANE = "packs"
PACK_TARGET_BYTES = 64_000
"""What the frame of a pack aims at: a page of a query holds some of them, a partition takes 15 a second."""
ITEM_MAX_BYTES = 400 * 1_024
"""What an item may take (Amazon DynamoDB Developer Guide, "Quotas in Amazon DynamoDB")."""
BESIDES_MAX_BYTES = 4 * 1_024
"""What a pack takes besides its frame, at most."""
EVENT_MAX_BYTES = ITEM_MAX_BYTES - BESIDES_MAX_BYTES
"""An encoded event that no pack can hold is larger."""

_DIGITS = 12
LAST_NUMBER: int = 10**_DIGITS - 1
_COUNTS = Totals.__struct_fields__
_fences = msgspec.msgpack.Decoder(dict[str, tuple[str, int, int]])


class Place(NamedTuple):
    """Where an event is in its lane; places compare in the lane's order.

    Sequence numbers are long decimals: of two, the one with more digits is the greater.
    """

    digits: int
    sequence_number: str
    nth: int
    """In its frame."""

    @classmethod
    def of(cls, sequence_number: str, nth: int) -> "Place":
        return cls(len(sequence_number), sequence_number, nth)


class Fence(NamedTuple):
    """The last place of a lane that is done with, and when it came to stand there."""

    place: Place
    moved_at_ms: int


class Pack(msgspec.Struct, frozen=True, kw_only=True):
    """One pack. `at_ms` never decreases along the log. `frame` may hold no event: resends alone came."""

    number: int
    at_ms: int
    lane: str
    place: Place
    frame: bytes
    expires_at_s: int | None = None


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What all packs up to `number` come to."""

    number: int = 0
    totals: Totals = Totals()
    fences: Mapping[str, Fence] = msgspec.field(default_factory=dict)


def packs_bucket(program_id: str) -> str:
    """The partition of the events table that a program's packs are in."""
    return f"{program_id}#packs"


def pack_key(program_id: str, number: int) -> Item:
    return {
        "bucket": {"S": packs_bucket(program_id)},
        "message_id": {"S": f"{number:0{_DIGITS}}"},
    }


def pack_item(program_id: str, pack: Pack) -> Item:
    expires: Item = {} if pack.expires_at_s is None else {EXPIRES_AT: {"N": str(pack.expires_at_s)}}
    return {
        **pack_key(program_id, pack.number),
        "at_ms": {"N": str(pack.at_ms)},
        "lane": {"S": pack.lane},
        "sequence_number": {"S": pack.place.sequence_number},
        "nth": {"N": str(pack.place.nth)},
        "frame": {"B": pack.frame},
        **expires,
    }


def pack_from_item(item: Item) -> Pack:
    """The pack that `pack_item` stored. Raises KeyError or ValueError for another shape."""
    return Pack(
        number=int(str(item["message_id"]["S"])),
        at_ms=int(str(item["at_ms"]["N"])),
        lane=str(item["lane"]["S"]),
        place=Place.of(str(item["sequence_number"]["S"]), int(str(item["nth"]["N"]))),
        frame=_bytes(item, "frame"),
        expires_at_s=int(str(item[EXPIRES_AT]["N"])) if EXPIRES_AT in item else None,
    )


def head_item(program_id: str, head: Head) -> Item:
    """A lane of the totals table to whoever sums lanes."""
    fences = {
        lane: (fence.place.sequence_number, fence.place.nth, fence.moved_at_ms)
        for lane, fence in head.fences.items()
    }
    counts: Item = {name: {"N": str(getattr(head.totals, name))} for name in _COUNTS}
    return {
        **lane_key(program_id, PACKS_LANE),
        **counts,
        "sequence_number": {"S": str(head.number)},
        "packs": {"N": str(head.number)},
        "fences": {"B": zlib.compress(msgspec.msgpack.encode(fences))},
    }


def head_from_item(item: Item) -> Head:
    """The head that `head_item` stored. Raises KeyError or ValueError for another shape."""
    fences = _fences.decode(zlib.decompress(_bytes(item, "fences")))
    return Head(
        number=int(str(item["packs"]["N"])),
        totals=Totals(**{name: int(str(item[name]["N"])) for name in _COUNTS}),
        fences={lane: Fence(Place.of(number, nth), at_ms) for lane, (number, nth, at_ms) in fences.items()},
    )


def _bytes(item: Item, name: str) -> bytes:
    value = item[name]["B"]
    if not isinstance(value, bytes):
        raise ValueError(f"{name} is not binary")
    return value
