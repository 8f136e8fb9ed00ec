"""What the log of a lease tells of a table, as any reader of both DynamoDB tables finds it."""

from collections.abc import Iterable
from itertools import chain
from typing import Any

import msgspec

from schemas.leases import Lease, Row
from schemas.state import piece_from_row
from workers.runtime.log import history, replay
from workers.runtime.table import Entries


def entries_of(lease: Lease, rows: Iterable[Row], table: str) -> Entries:
    """The entries of a table, by the rows of all leases."""
    entries = Entries()
    own = [piece_from_row(row) for row in rows if row["lease_key"]["S"] == lease.key]
    for piece in chain.from_iterable(history(lease, own)):
        replay(piece, {table: entries})
    return entries


def decoded(entries: Entries, kind: Any) -> dict[str, Any]:
    """Keys and values."""
    return {
        msgspec.json.decode(key): msgspec.msgpack.decode(entries.get(key) or b"", type=kind)
        for key in entries
    }
