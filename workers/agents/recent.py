"""The message ids that a shard brought last, so that what a client sent again is known."""

from collections import deque
from hashlib import blake2b
from uuid import UUID

from workers.runtime.table import Table

REMEMBERED = 32_768
"""Message ids, at most this many and at least this less a chunk."""
CHUNK = 128
"""Message ids to an entry: so each commit writes one entry or two, and not one for each event."""
HASH_BYTES = 8


class Recent:
    """Remembers in a table, as hashes, oldest forgotten first.

    What it holds in memory follows the table: make a new one wherever the table may have changed.
    """

    def __init__(self, table: Table[int, bytes]) -> None:
        self._table = table
        self._chunks = deque(sorted(table))
        self._known = {each for chunk in self._chunks for each in _split(table[chunk])}

    def add(self, program_id: str, message_id: UUID) -> bool:
        """Whether it is new: no message of the program had this id, as far as is remembered."""
        each = blake2b(program_id.encode() + message_id.bytes, digest_size=HASH_BYTES).digest()
        if each in self._known:
            return False
        self._known.add(each)
        self._append(each)
        return True

    def _append(self, each: bytes) -> None:
        if not self._chunks or len(self._table[self._chunks[-1]]) >= CHUNK * HASH_BYTES:
            self._chunks.append(self._chunks[-1] + 1 if self._chunks else 0)
        self._table[self._chunks[-1]] += each
        if len(self._chunks) > REMEMBERED // CHUNK:
            self._forget(self._chunks.popleft())

    def _forget(self, chunk: int) -> None:
        self._known.difference_update(_split(self._table[chunk]))
        del self._table[chunk]


def _split(chunk: bytes) -> list[bytes]:
    return [chunk[at : at + HASH_BYTES] for at in range(0, len(chunk), HASH_BYTES)]
