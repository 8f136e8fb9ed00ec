"""The board: what is known now, as entries that each carry the revision of their last change.

A reader keeps the revision up to which it has read. What it asks for is what changed since, each entry
as it is now: whoever is late gets less, never more, and one who comes back needs no history.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

Key = tuple[str | int, ...]
"""The section of an entry, and its name there."""

_SLACK = 1_024


class Changed(NamedTuple):
    """An entry that changed, at a revision."""

    revision: int
    key: Key
    value: object


class Board:
    """Entries by key, in the order of their last changes. One event loop."""

    def __init__(self) -> None:
        self._values: dict[Key, object] = {}
        self._revisions: dict[Key, int] = {}
        self._log: list[tuple[int, Key]] = []
        self.revision = 0
        self.changed = asyncio.Event()
        """Set with each change; who waits for the next one clears it."""

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Key) -> object | None:
        return self._values.get(key)

    def put(self, key: Key, value: object) -> None:
        """Makes `value` the entry; the same again is no change."""
        if self._values.get(key) == value:
            return
        self.revision += 1
        self._values[key] = value
        self._revisions[key] = self.revision
        self._log.append((self.revision, key))
        self.changed.set()
        if len(self._log) > 2 * len(self._values) + _SLACK:
            self._log = [each for each in self._log if self._is_last(*each)]

    def drop(self, key: Key) -> None:
        """Forgets the entry, without telling: readers know by themselves when it has had its time."""
        del self._values[key]
        del self._revisions[key]

    def since(self, revision: int, *, until: int) -> Iterator[Changed]:
        """The entries whose last change is after `revision` and not after `until`, oldest change first."""
        for position in range(bisect_right(self._log, revision, key=_revision), len(self._log)):
            changed, key = self._log[position]
            if changed > until:
                return
            if self._is_last(changed, key):
                yield Changed(changed, key, self._values[key])

    def _is_last(self, revision: int, key: Key) -> bool:
        return self._revisions.get(key) == revision


def _revision(entry: tuple[int, Key]) -> int:
    return entry[0]
