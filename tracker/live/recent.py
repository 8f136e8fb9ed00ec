"""The last quarter of an hour, minute by minute, of every program."""

from collections.abc import Iterator

from schemas.minutes import MINUTE_MS, Minute, minute_of

MINUTES = 15
"""Whole minutes that are kept, before the one that is being counted."""


class RecentMinutes:
    """Adds up the parts of minutes. Each part only grows, so order and repetition do not matter."""

    def __init__(self) -> None:
        self._parts: dict[int, dict[str, dict[str, Minute]]] = {}

    def take(
        self, program_id: str, start_ms: int, part: str, minute: Minute, *, now_ms: int
    ) -> Minute | None:
        """The program's whole minute where `minute` is news of a part; None where it is not, or is not
        of this time. The next minute is: clocks differ."""
        if start_ms not in starts(now_ms) and start_ms != minute_of(now_ms) + MINUTE_MS:
            return None
        parts = self._parts.setdefault(start_ms, {}).setdefault(program_id, {})
        if part in parts and parts[part].events >= minute.events:
            return None
        parts[part] = minute
        return sum(parts.values(), Minute())

    def expire(self, *, now_ms: int) -> Iterator[tuple[str, int]]:
        """Forgets minutes that are too old; gives each with its program."""
        kept = starts(now_ms)
        for start_ms in [start_ms for start_ms in self._parts if start_ms < kept.start]:
            for program_id in self._parts.pop(start_ms):
                yield program_id, start_ms


def starts(now_ms: int) -> range:
    """When the minutes that are kept start, the one that is being counted last."""
    now = minute_of(now_ms)
    return range(now - MINUTES * MINUTE_MS, now + 1, MINUTE_MS)
