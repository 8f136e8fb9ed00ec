"""Rows of the leases table and of the state table: who reads a shard, how far, and what it knows.

A lease row, one for each application (an agent, a hosted function), stream and shard:

    owner, token         who reads it, under a token of that acquisition alone; neither where nobody does
    counter              grows with every renewal: an owner that lets it stand still has failed
    wanted_by            who has asked for it, to be handed over
    checkpoint           the last sequence number that is done with, or SHARD_END
    half_done            "{sequence number}/{n}": n events of the record behind the checkpoint are, too
    epoch                the number of the last commit
    watermark_ms         up to where event time has come

A state item belongs to one entry of one table:

    epoch                the commit that wrote it
    value                as of that commit; absent where the entry was deleted
    previous             as of the commit before, where its commit took several writes

An item whose epoch is past its lease's belongs to a commit that was never finished: `previous` counts.
"""

from collections.abc import Mapping

import msgspec

SHARD_END = "SHARD_END"
"""The checkpoint behind the last record of a closed shard."""

Row = Mapping[str, Mapping[str, str | bytes]]
"""An item in the low-level client's form."""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A lease as read. The first state of a lease that has no row is `Lease(key=...)`."""

    key: str
    counter: int = 0
    owner: str | None = None
    token: str | None = None
    wanted_by: str | None = None
    checkpoint: str | None = None
    half_done: str | None = None
    epoch: int = 0
    watermark_ms: int = 0

    @property
    def has_ended(self) -> bool:
        return self.checkpoint == SHARD_END


class Entry(msgspec.Struct, frozen=True):
    """A state item: an entry of a table, by the commit that wrote it."""

    table: str
    key: str
    epoch: int
    value: bytes | None
    previous: bytes | None = None

    def as_of(self, epoch: int) -> bytes | None:
        """Its value once commit `epoch` was the last; None where there was no such entry."""
        return self.value if self.epoch <= epoch else self.previous


def lease_key(application: str, stream: str, shard_id: str) -> str:
    return f"{application}/{stream}/{shard_id}"


def lease_row_key(key: str) -> Row:
    return {"lease_key": {"S": key}}


def lease_from_row(row: Row) -> Lease:
    """Attributes of a newer version are passed over."""
    numbers = {name: int(row[name]["N"]) for name in ("counter", "epoch", "watermark_ms") if name in row}
    names = ("owner", "token", "wanted_by", "checkpoint", "half_done")
    texts = {name: str(row[name]["S"]) for name in names if name in row}
    return Lease(key=str(row["lease_key"]["S"]), **numbers, **texts)  # type: ignore[arg-type]


def entry_row_key(lease: str, table: str, key: str) -> Row:
    return {**lease_row_key(lease), "entry": {"S": f"{table}/{key}"}}


def entry_row(lease: str, entry: Entry) -> Row:
    values = {"value": entry.value, "previous": entry.previous}
    return {
        **entry_row_key(lease, entry.table, entry.key),
        "epoch": {"N": str(entry.epoch)},
        **{name: {"B": value} for name, value in values.items() if value is not None},
    }


def entry_from_row(row: Row) -> Entry:
    table, _, key = str(row["entry"]["S"]).partition("/")
    value, previous = (bytes(row[name]["B"]) if name in row else None for name in ("value", "previous"))  # type: ignore[arg-type]
    return Entry(table, key, int(row["epoch"]["N"]), value, previous)
