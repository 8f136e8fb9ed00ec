"""How long leases stood still while workers were killed, and where that time went."""

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from schemas.leases import Lease, lease_from_row
from tests.workers.fleet import COMMIT, Fleet, Line

LOOK_EVERY_S = 0.05
CONTEXT_LINES_MAX = 80
AT_WORK = re.compile(r"(\S+) works on ")


class Sign(NamedTuple):
    """An owner's sign of life: its lease has another token or counter from then on, by the wall clock."""

    at_s: float
    owner: str | None
    token: str | None
    counter: int
    has_ended: bool


class Gap(NamedTuple):
    """A lease from one sign of life to the next, of whatever owner."""

    key: str
    last: Sign
    next: Sign

    @property
    def length_s(self) -> float:
        return self.next.at_s - self.last.at_s


class Watchman:
    """Looks at the leases table again and again, and notes each sign of life."""

    def __init__(self, dynamodb: Any, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._signs: dict[str, list[Sign]] = {}

    async def watch(self) -> None:
        """Until it is cancelled."""
        while True:
            answer = await self._dynamodb.scan(TableName=self._table, ConsistentRead=True)
            now_s = time.time()
            for lease in map(lease_from_row, answer["Items"]):
                self.note(lease, now_s)
            await asyncio.sleep(LOOK_EVERY_S)

    def note(self, lease: Lease, now_s: float) -> None:
        self._last_s = now_s
        signs = self._signs.setdefault(lease.key, [])
        sign = Sign(now_s, lease.owner, lease.token, lease.counter, lease.has_ended)
        if not signs or signs[-1][1:] != sign[1:]:
            signs.append(sign)

    def gaps(self) -> list[Gap]:
        """The longest first."""
        found = [
            Gap(key, *each)
            for key, signs in self._signs.items()
            for each in pairwise([*signs, signs[-1]._replace(at_s=self._last_s)])
            if not each[0].has_ended
        ]
        return sorted(found, key=lambda gap: -gap.length_s)


def told(gaps: Sequence[Gap], fleet: Fleet, *, over_s: float) -> str:
    """A table of the gaps that are longer, each moment in seconds behind the last sign of life, and what was
    said in the longest of them."""
    lines = fleet.lines()
    heads = ("lease", "gap", "killed", "still", "taken", "commit", "at work")
    rows = [heads, *(_row(gap, lines, fleet) for gap in gaps if gap.length_s > over_s)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    table = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([*table, "", *_context(gaps[0], lines)])


def _row(gap: Gap, lines: Sequence[Line], fleet: Fleet) -> tuple[str, ...]:
    workers = {match[1]: line for line in lines if (match := AT_WORK.match(line.text))}
    owner = workers.get(gap.last.owner or "")
    moments = [
        gap.next.at_s,
        fleet.killed_s.get(owner.worker) if owner else None,
        _first(gap, lines, lambda text: text.startswith(f"{gap.key} stands still")),
        _first(gap, lines, lambda text: text.startswith(f"{gap.key} is taken")),
        _first(gap, lines, lambda text: _is_commit(text, gap.key, gap.next.token)),
    ]
    at_work = [
        line
        for line in workers.values()
        if line.at_s < gap.next.at_s < fleet.killed_s.get(line.worker, gap.next.at_s + 1)
    ]
    behind = ["" if at_s is None else f"{at_s - gap.last.at_s:.2f}" for at_s in moments]
    return (gap.key.rpartition("-")[2][-2:], *behind, str(len(at_work)))


def _first(gap: Gap, lines: Sequence[Line], is_meant: Callable[[str], bool]) -> float | None:
    return next((line.at_s for line in lines if line.at_s >= gap.last.at_s and is_meant(line.text)), None)


def _is_commit(text: str, key: str, token: str | None) -> bool:
    match = COMMIT.match(text)
    return match is not None and (match[1], match[3]) == (key, token)


def _context(gap: Gap, lines: Sequence[Line]) -> Iterator[str]:
    around = [line for line in lines if gap.last.at_s - 1 <= line.at_s <= gap.next.at_s + 1]
    meant = [line for line in around if not COMMIT.match(line.text) or gap.key in line.text]
    for at_s, worker, text in meant[:CONTEXT_LINES_MAX]:
        yield f"{at_s - gap.last.at_s:6.2f} [{worker}] {text}"
