"""What is known of readers and failures, whatever order it is told in, and its bound."""

from schemas.health import Failures, Lag
from tests.factories import NOW_MS
from tracker.live.board import Board
from tracker.live.entries import ReaderRow
from tracker.live.health import READERS_MAX, SILENT_MS, HealthDesk


def lag(shard_id: str = "s", *, lag_ms: int = 120, at_ms: int = NOW_MS) -> Lag:
    return Lag(reader="tally", stream="events", shard_id=shard_id, lag_ms=lag_ms, at_ms=at_ms)


def test_what_was_said_later_holds() -> None:
    board = Board()
    desk = HealthDesk(board)

    for told in (lag(lag_ms=1, at_ms=NOW_MS), lag(lag_ms=2, at_ms=NOW_MS + 1), lag(lag_ms=3, at_ms=NOW_MS)):
        desk.lag(told)
    for counted in (Failures(count=2, at_ms=NOW_MS), Failures(count=1, at_ms=NOW_MS - 1)):
        desk.failures(counted)

    assert board.get(("readers", "tally", "events", "s")) == ReaderRow("tally", "events", "s", 2, NOW_MS + 1)
    assert board.get(("failures",)) == Failures(count=2, at_ms=NOW_MS)


def test_no_more_shards_are_told_of_than_are_kept() -> None:
    board = Board()
    desk = HealthDesk(board)
    for number in range(READERS_MAX + 1):
        desk.lag(lag(str(number)))

    assert len(board) == READERS_MAX
    desk.lag(lag("0", lag_ms=7, at_ms=NOW_MS + 1))
    assert board.get(("readers", "tally", "events", "0")) == ReaderRow("tally", "events", "0", 7, NOW_MS + 1)

    desk.tidy(NOW_MS + SILENT_MS + 1)
    desk.lag(lag("new", at_ms=NOW_MS + SILENT_MS))
    assert len(board) == 2
