"""The ledger: what was acknowledged, what is stored, what is counted, and whether they agree."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from msgspec import Struct

from schemas.programs import Totals

Count = Literal["views", "clicks", "conversions", "invalid"]
COUNTS: tuple[Count, ...] = ("views", "clicks", "conversions", "invalid")


class Entry(NamedTuple):
    """One event, as far as the ledger goes: its program, its id, and the total it belongs to."""

    program_id: str
    message_id: str
    counts_as: Count


class Row(NamedTuple):
    """One line of the ledger. `acknowledged` are this run's, the others are everything there is."""

    program_id: str
    counts_as: Count
    acknowledged: int
    stored: int
    total: int

    @property
    def balanced(self) -> bool:
        return self.stored == self.total


class Audit(Struct, frozen=True, kw_only=True):
    """What an audit found. An event under the wrong program or count is missing and extra at once."""

    rows: list[Row]
    missing: list[Entry]
    extra: list[Entry]
    repeated: list[Entry]

    @property
    def balanced(self) -> bool:
        return not self.problems()

    def problems(self) -> list[str]:
        """Each finding in one line that names its event or total."""
        found = [
            f"{what}: {entry.message_id} of {entry.program_id} ({entry.counts_as})"
            for what, entries in (
                ("acknowledged and not stored", self.missing),
                ("stored and never sent", self.extra),
                ("stored more than once", self.repeated),
            )
            for entry in entries
        ]
        return found + [
            f"counted wrong: {row.program_id} has {row.stored} {row.counts_as}, its total says {row.total}"
            for row in self.rows
            if not row.balanced
        ]


def audit(
    *,
    acknowledged: Iterable[Entry],
    stored: Iterable[Entry],
    totals: Mapping[str, Totals],
    expected_extra: Iterable[Entry] = (),
) -> Audit:
    """Compares what was acknowledged with every item stored and every program's total.

    `expected_extra` are events that may be stored without an acknowledgement: those stored before,
    and those whose answer never came. `stored` has an entry per item, so that repetition shows.
    """
    sent, items = set(acknowledged), Counter(stored)
    return Audit(
        rows=_rows(sent, items, totals),
        missing=sorted(sent - items.keys()),
        extra=sorted(items.keys() - sent - set(expected_extra)),
        repeated=sorted(entry for entry, times in items.items() if times > 1),
    )


def _rows(sent: set[Entry], stored: Iterable[Entry], totals: Mapping[str, Totals]) -> list[Row]:
    acknowledged, distinct = _by_count(sent), _by_count(set(stored))
    programs = sorted({program_id for program_id, _ in acknowledged + distinct} | totals.keys())
    return [
        Row(
            program_id,
            count,
            acknowledged[program_id, count],
            distinct[program_id, count],
            getattr(totals.get(program_id, Totals()), count),
        )
        for program_id in programs
        for count in COUNTS
    ]


def _by_count(entries: Iterable[Entry]) -> Counter[tuple[str, Count]]:
    return Counter((entry.program_id, entry.counts_as) for entry in entries)
