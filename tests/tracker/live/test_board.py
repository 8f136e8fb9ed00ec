"""The board: a reader that asks what changed since gets each entry once, as it is now."""

from hypothesis import given
from hypothesis import strategies as st

from tracker.live.board import Board

KEYS = st.sampled_from([("totals", "a"), ("totals", "b"), ("programs", "a"), ("minutes", "a", 60_000)])
CHANGES = st.lists(st.tuples(KEYS, st.integers(0, 3)), max_size=40)


def told(board: Board, since: int = 0) -> list[tuple[object, object]]:
    return [(each.key, each.value) for each in board.since(since, until=board.revision)]


def test_an_entry_is_told_as_it_is_now_in_the_order_of_the_last_changes() -> None:
    board = Board()
    board.put(("totals", "a"), 1)
    board.put(("totals", "b"), 2)
    board.put(("totals", "a"), 3)

    assert told(board) == [(("totals", "b"), 2), (("totals", "a"), 3)]
    assert told(board, since=2) == [(("totals", "a"), 3)]


def test_the_same_again_is_no_change() -> None:
    board = Board()
    board.put(("totals", "a"), 1)
    board.changed.clear()

    board.put(("totals", "a"), 1)

    assert (board.revision, board.changed.is_set()) == (1, False)


def test_what_changed_after_the_moment_asked_for_is_left_for_later() -> None:
    board = Board()
    board.put(("totals", "a"), 1)
    board.put(("totals", "b"), 2)

    assert [each.key for each in board.since(0, until=1)] == [("totals", "a")]


def test_what_was_dropped_is_not_told() -> None:
    board = Board()
    board.put(("tasks", "a"), 1)
    board.drop(("tasks", "a"))

    assert told(board) == []
    assert len(board) == 0


def test_it_does_not_grow_with_the_changes() -> None:
    board = Board()
    for value in range(100_000):
        board.put(("totals", "a"), value)

    assert len(board._log) < 2_000
    assert told(board) == [(("totals", "a"), 99_999)]


@given(CHANGES, st.lists(st.integers(1, 5), min_size=1, max_size=40))
def test_whoever_reads_on_whenever_they_like_ends_with_what_is_there(
    changes: list[tuple[tuple[str, ...], int]], pace: list[int]
) -> None:
    board, seen, revision = Board(), dict[object, object](), 0
    for position, (key, value) in enumerate(changes):
        board.put(key, value)
        if position % pace[position % len(pace)] == 0:
            for each in board.since(revision, until=board.revision):
                seen[each.key], revision = each.value, each.revision
    seen |= {each.key: each.value for each in board.since(revision, until=board.revision)}

    assert seen == dict(told(board))
