"""News: the last changes of core data as they reached this task, and which tasks have applied them."""

from collections import deque
from collections.abc import Iterator
from typing import Literal

import msgspec
from msgspec.structs import replace

from schemas.invalidations import CacheInvalidated, ProgramInvalidated, TaskReported
from schemas.programs import Program
from schemas.redis import RECORD_TTL_S
from tracker.live.board import Board

NEWS_MAX = 50
"""Changes kept."""
NEWS_MAX_AGE_MS = RECORD_TTL_S * 1000
"""Older, it is no change: a program that had expired in Redis was read again."""

Kind = Literal["changed", "deleted", "purged"]

_VERSIONS = ("version", "written_version")
"""What differs in every change."""


class News(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A change, `delay_ms` after it was written. `fields` are those that differ from what was known.

    `applied` is its number on the channel of invalidations. So many `tasks` have said since that they
    have applied it, the last of them `tasks_ms` after it was written.
    """

    number: int
    kind: Kind
    version: int
    at_ms: int
    delay_ms: int
    applied: int
    program_id: str | None = None
    name: str | None = None
    fields: tuple[str, ...] = ()
    tasks: int = 0
    tasks_ms: int | None = None


class NewsDesk:
    """Puts changes on the board, and on each of them how many tasks have applied it."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._last = 0
        self._kept: deque[int] = deque()
        self._applied_by: dict[int, set[str]] = {}

    def program(self, told: ProgramInvalidated, held: Program | None, now_ms: int) -> None:
        """A program is not as it was."""
        named = told.program or held
        self._put(
            told,
            "changed" if told.program else "deleted",
            now_ms,
            program_id=told.program_id,
            name=named.name if named else None,
            fields=tuple(_differing(held, told.program)) if held and told.program else (),
        )

    def purge(self, told: CacheInvalidated, now_ms: int) -> None:
        """Every memory was emptied."""
        self._put(told, "purged", now_ms)

    def reported(self, told: TaskReported, now_ms: int) -> None:
        """A task has applied what came up to a number."""
        for number, tasks in self._applied_by.items():
            news = self._board.get(("changes", number))
            if isinstance(news, News) and news.applied <= told.applied and told.task not in tasks:
                tasks.add(told.task)
                late_ms = _delay_ms(news.version, now_ms)
                self._board.put(("changes", number), replace(news, tasks=len(tasks), tasks_ms=late_ms))

    def lost(self) -> None:
        """The channel may be counted anew: who has applied what is not known any more."""
        self._applied_by.clear()

    def _put(
        self,
        told: ProgramInvalidated | CacheInvalidated,
        kind: Kind,
        now_ms: int,
        *,
        program_id: str | None = None,
        name: str | None = None,
        fields: tuple[str, ...] = (),
    ) -> None:
        delay_ms = _delay_ms(told.version, now_ms)
        if delay_ms > NEWS_MAX_AGE_MS:
            return
        self._last += 1
        news = News(
            number=self._last,
            kind=kind,
            version=told.version,
            at_ms=now_ms,
            delay_ms=delay_ms,
            applied=told.sequence,
            program_id=program_id,
            name=name,
            fields=fields,
        )
        self._board.put(("changes", self._last), news)
        self._applied_by[self._last] = set()
        self._kept.append(self._last)
        if len(self._kept) > NEWS_MAX:
            self._forget(self._kept.popleft())

    def _forget(self, number: int) -> None:
        self._board.drop(("changes", number))
        self._applied_by.pop(number, None)


def _delay_ms(version: int, now_ms: int) -> int:
    """A version is the microsecond in which its writer made it."""
    return max(0, now_ms - version // 1000)


def _differing(before: Program, after: Program) -> Iterator[str]:
    for spec in msgspec.structs.fields(Program):
        if spec.name not in _VERSIONS and getattr(before, spec.name) != getattr(after, spec.name):
            yield spec.encode_name
