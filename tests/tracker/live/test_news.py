"""News: what changed, how late it was here, and who has applied it."""

from typing import Any

from schemas.invalidations import CacheInvalidated, ProgramInvalidated, TaskReported
from tests.factories import NOW_MS, program
from tracker.live.board import Board
from tracker.live.news import NEWS_MAX, NEWS_MAX_AGE_MS, News, NewsDesk

AGO_MS = 40


def version(ago_ms: int = AGO_MS) -> int:
    return (NOW_MS - ago_ms) * 1_000


def changed(*, sequence: int = 7, ago_ms: int = AGO_MS, **fields: Any) -> ProgramInvalidated:
    after = program(version=version(ago_ms), **fields)
    return ProgramInvalidated(
        program_id=after.program_id, version=after.version, program=after, sequence=sequence
    )


def news(board: Board) -> list[News]:
    return [each.value for each in board.since(0, until=board.revision) if isinstance(each.value, News)]


def test_a_change_says_what_differs_and_how_late_it_was_here() -> None:
    board = Board()

    NewsDesk(board).program(changed(active=False, budget=5, written_version=7), program(), NOW_MS)

    (told,) = news(board)
    assert (told.kind, told.name, told.delay_ms, told.fields) == (
        "changed",
        "program2",
        AGO_MS,
        ("active", "budget"),
    )


def test_a_deletion_has_the_name_that_the_program_had() -> None:
    board = Board()
    gone = ProgramInvalidated(program_id="212313", version=version(), program=None, sequence=7)

    NewsDesk(board).program(gone, program(), NOW_MS)

    (told,) = news(board)
    assert (told.kind, told.program_id, told.name) == ("deleted", "212313", "program2")


def test_a_purge_is_news() -> None:
    board = Board()

    NewsDesk(board).purge(CacheInvalidated(version=version(), sequence=8), NOW_MS)

    assert [each.kind for each in news(board)] == ["purged"]


def test_a_program_that_redis_had_forgotten_and_holds_again_is_no_news() -> None:
    board = Board()

    NewsDesk(board).program(changed(ago_ms=NEWS_MAX_AGE_MS + 1), None, NOW_MS)

    assert news(board) == []


def test_a_task_has_applied_what_came_up_to_the_number_that_it_says_and_is_counted_once() -> None:
    board = Board()
    desk = NewsDesk(board)
    desk.program(changed(sequence=7), program(), NOW_MS)

    for task, applied in (("a", 6), ("a", 7), ("a", 8), ("b", 9)):
        desk.reported(TaskReported(task=task, applied=applied), NOW_MS + applied)

    (told,) = news(board)
    assert (told.tasks, told.tasks_ms) == (2, AGO_MS + 9)


def test_once_the_link_was_lost_nobody_is_counted_by_numbers_of_before() -> None:
    board = Board()
    desk = NewsDesk(board)
    desk.program(changed(), program(), NOW_MS)

    desk.lost()
    desk.reported(TaskReported(task="a", applied=9), NOW_MS)

    assert [each.tasks for each in news(board)] == [0]


def test_only_the_last_ones_are_kept() -> None:
    board = Board()
    desk = NewsDesk(board)
    for number in range(NEWS_MAX + 5):
        desk.program(changed(sequence=number), program(), NOW_MS)

    assert [each.applied for each in news(board)] == list(range(5, NEWS_MAX + 5))
