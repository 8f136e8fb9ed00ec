"""Items of the state table: what an agent knows of a shard, as a log of its commits.

An item is in a slot of its lease, and written over once it counts no more:

    commit_id    "{epoch}/{writer}" of the commit that it is a piece of
    pieces       how many that commit has
    previous     the commit before, where there is one
    data         what the commit says of some entries:

        version byte | msgpack array of entries            (version byte < 0x80)
        version byte | zlib(msgpack array of entries)      (high bit set: compressed)

The commits from the lease's `head` back to its `tail` count. Other items are of a commit that was never
finished, or that is needed no more.
"""

import zlib
from collections.abc import Sequence

import msgspec

from schemas.errors import UNREADABLE, PoisonError
from schemas.leases import Row, lease_row_key

VERSION = 1
COMPRESSED = 0x80
DELTA_MIN_BYTES = 64
"""A shorter value gains nothing from being told by the one before."""

_PLAIN_HEAD = bytes((VERSION,))
_COMPRESSED_HEAD = bytes((VERSION | COMPRESSED,))


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """What a commit says of an entry of a table: its value, None where it was deleted.

    A delta says it by the value that the commits before have left.
    """

    table: str
    key: str
    value: bytes | None
    is_delta: bool = False

    @classmethod
    def of(cls, table: str, key: str, value: bytes | None, before: bytes | None) -> "Entry":
        """As a delta where that is half as long."""
        if value is None or before is None or len(value) < DELTA_MIN_BYTES:
            return cls(table, key, value)
        packer = zlib.compressobj(zdict=before)
        delta = packer.compress(value) + packer.flush()
        return cls(table, key, delta, True) if 2 * len(delta) <= len(value) else cls(table, key, value)

    @property
    def size(self) -> int:
        """Bytes of its key, and of what is said of it."""
        return len(self.key) + len(self.value or b"")

    def value_after(self, before: bytes | None) -> bytes | None:
        """The value, by the one before. None for a delta without: then a later commit tells it anew, and what
        it was told by is gone. Raises PoisonError for a delta to another value than `before`."""
        if not self.is_delta or self.value is None:
            return self.value
        if before is None:
            return None
        try:
            return zlib.decompressobj(zdict=before).decompress(self.value)
        except zlib.error as error:
            raise PoisonError(f"{self.table}/{self.key}: {error}") from error


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """An item."""

    slot: int
    commit_id: str
    pieces: int
    previous: str | None
    data: bytes


_entries: msgspec.msgpack.Decoder[list[Entry]] = msgspec.msgpack.Decoder(list[Entry])


def commit_id(epoch: int, writer: str) -> str:
    return f"{epoch}/{writer}"


def epoch_of(commit: str) -> int:
    return int(commit.partition("/")[0])


def piece_row_key(lease: str, slot: int) -> Row:
    return {**lease_row_key(lease), "entry": {"S": str(slot)}}


def piece_row(lease: str, piece: Piece) -> Row:
    return {
        **piece_row_key(lease, piece.slot),
        "commit_id": {"S": piece.commit_id},
        "pieces": {"N": str(piece.pieces)},
        **({} if piece.previous is None else {"previous": {"S": piece.previous}}),
        "data": {"B": piece.data},
    }


def piece_from_row(row: Row) -> Piece:
    """Raises PoisonError for an item of the versions that wrote one for each entry."""
    if "commit_id" not in row:
        raise PoisonError(f"{row['entry']['S']!r} is of no log: begin with empty tables of leases and state")
    return Piece(
        slot=int(row["entry"]["S"]),
        commit_id=str(row["commit_id"]["S"]),
        pieces=int(row["pieces"]["N"]),
        previous=str(row["previous"]["S"]) if "previous" in row else None,
        data=bytes(row["data"]["B"]),  # type: ignore[arg-type]
    )


def pack(entries: Sequence[Entry]) -> bytes:
    """The data of a piece, compressed where that is smaller."""
    body = msgspec.msgpack.encode(entries)
    packed = zlib.compress(body)
    return _COMPRESSED_HEAD + packed if len(packed) < len(body) else _PLAIN_HEAD + body


def unpack(data: bytes) -> list[Entry]:
    """Raises PoisonError for data of a newer version, or damaged."""
    try:
        return _entries.decode(_body(data))
    except (*UNREADABLE, zlib.error) as error:
        raise PoisonError(f"a piece of state cannot be read: {error}") from error


def _body(data: bytes) -> bytes:
    head, body = data[:1], data[1:]
    if head == _COMPRESSED_HEAD:
        return zlib.decompress(body)
    if head != _PLAIN_HEAD:
        raise PoisonError(f"a piece of state of version {head.hex()}")
    return body
