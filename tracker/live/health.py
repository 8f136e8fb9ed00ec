"""Health: how far behind readers of the streams are, and how much failed, for whoever watches."""

from schemas.health import Failures, Lag
from schemas.redis import HEALTH_WINDOW_MS
from tracker.live.board import Board
from tracker.live.entries import reader_row

READERS_MAX = 5_000
"""Shards of readers that are told of."""
SILENT_MS = 2 * HEALTH_WINDOW_MS
"""After so long, what was said of a shard is forgotten."""


class HealthDesk:
    """Puts on the board what was said last, in whatever order it comes."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._lags: dict[tuple[str, str, str], Lag] = {}
        self._failures: Failures | None = None

    def lag(self, told: Lag) -> None:
        """A reader says how far behind it is on a shard."""
        place = told.reader, told.stream, told.shard_id
        held = self._lags.get(place)
        if told.at_ms <= held.at_ms if held else len(self._lags) >= READERS_MAX:
            return
        self._lags[place] = told
        self._board.put(("readers", *place), reader_row(told))

    def failures(self, told: Failures) -> None:
        """Somebody has counted what failed."""
        if self._failures is None or told.at_ms > self._failures.at_ms:
            self._failures = told
            self._board.put(("failures",), told)

    def tidy(self, now_ms: int) -> None:
        """Forgets those who have said nothing for long."""
        for place, told in list(self._lags.items()):
            if now_ms - told.at_ms > SILENT_MS:
                del self._lags[place]
                self._board.drop(("readers", *place))
