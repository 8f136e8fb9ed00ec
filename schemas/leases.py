"""Rows of the leases table: who reads a shard, and how far. What is known of it is in state.py.

One for each application (an agent, a hosted function), stream and shard:

    owner, token         who reads it, under a token of that acquisition alone; neither where nobody does
    counter              grows with every renewal: an owner that lets it stand still has failed
    wanted_by            who has asked for it, to be handed over
    checkpoint           the last sequence number that is done with, or SHARD_END
    half_done            "{sequence number}/{n}": n events of the record behind the checkpoint are, too
    epoch, writer        the number of the last commit, and who wrote it: a name of one run on the shard
    watermark_ms         up to where event time has come
    head                 the last commit that wrote into the log of state
    tail                 the epoch of the oldest that counts there
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
    writer: str | None = None
    watermark_ms: int = 0
    head: str | None = None
    tail: int = 0

    @property
    def has_ended(self) -> bool:
        return self.checkpoint == SHARD_END


def lease_key(application: str, stream: str, shard_id: str) -> str:
    return f"{application}/{stream}/{shard_id}"


def lease_row_key(key: str) -> Row:
    return {"lease_key": {"S": key}}


def lease_from_row(row: Row) -> Lease:
    """Attributes of a newer version are passed over."""
    counts = ("counter", "epoch", "watermark_ms", "tail")
    numbers = {name: int(row[name]["N"]) for name in counts if name in row}
    names = ("owner", "token", "wanted_by", "checkpoint", "half_done", "writer", "head")
    texts = {name: str(row[name]["S"]) for name in names if name in row}
    return Lease(key=str(row["lease_key"]["S"]), **numbers, **texts)  # type: ignore[arg-type]
