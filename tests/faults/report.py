"""The results of the suite: one table for the terminal, one page for the documentation."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from tests.faults.load import Load

COMMAND = "make faults"
HEAD = (
    "fault",
    "duration",
    "load",
    "acknowledged",
    "stored",
    "duplicates suppressed",
    "failed",
    "errors by kind",
    "longest outage",
    "p99 before / during / after",
)
PREFACE = """\
# What happens when things break

`{command}` starts the real system (two trackers, both Lambda hosts, the stream workers, Valkey, and MiniStack
in the place of Kinesis and DynamoDB), drives clients against it, breaks one thing at a time, heals it, waits
until the last copy of an event is done with, and audits. Each event is an item of its own
(`EVENT_STORE=items`); what can go wrong with storing is done again to the packed store, which a deployment
has by default: those rows say *packed*. This page is what it wrote on {date}, on {machine}. {verdict}

In every row it has checked that

- every acknowledged event is in the table, under its program and its kind;
- no event is there twice, and none is there that no client sent;
- each program's totals equal the distinct events stored, by kind;
- nothing is in the failed-events store that a test did not put on a stream as poison;
- no request failed, but where it is Kinesis or a tracker itself that breaks; and then as it should: with 503
  and `Retry-After`, or on a connection to a tracker that is gone.
"""
LEGEND = """\
Durations are of the fault alone: load goes on for seconds before and after it. Load is what clients begin
to send in a second, failures or not: singles by `GET /event`, the rest in batches by `POST /events`, to
the two trackers in turn. What is not acknowledged is sent again with the same message id, with growing
pauses. *Duplicates suppressed* are copies of events on the stream beyond the first, and inserts that the
table refused because the same record was delivered again; the packed store knows those before it writes, and
they are not counted. *Failed* are events that no attempt got
acknowledged. *Errors by kind* are requests that have to be sent again, whole or in part. The *longest
outage* is the longest time from the first attempt at an event to its acknowledgement, where one attempt
was not enough. p99 is over all requests, failed ones included.
"""


class Result(Struct, frozen=True, kw_only=True):
    """One fault, what clients saw of it, what the audit found. It held where there are no problems."""

    fault: str
    story: str
    duration_s: float
    load: str
    acknowledged: int
    stored: int
    duplicates: int
    failed: int
    errors: dict[str, int]
    longest_outage_s: float
    p99_ms: tuple[float, float, float]
    problems: list[str]
    notes: list[str]

    @property
    def cells(self) -> tuple[str, ...]:
        return (
            self.fault if not self.problems else f"BROKEN: {self.fault}",
            f"{self.duration_s:.0f} s",
            self.load,
            f"{self.acknowledged:,}",
            f"{self.stored:,}",
            f"{self.duplicates:,}",
            f"{self.failed:,}",
            ", ".join(f"{kind} ({count:,})" for kind, count in sorted(self.errors.items())) or "none",
            f"{self.longest_outage_s:.1f} s",
            " / ".join(f"{each:.0f}" for each in self.p99_ms) + " ms",
        )


def terminal_table(results: Sequence[Result]) -> list[str]:
    """One line for each fault, in columns."""
    rows = [HEAD, *(result.cells for result in results)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEAD))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def page(results: Sequence[Result], now: datetime) -> str:
    """docs/reliability.md."""
    preface = PREFACE.format(
        command=COMMAND,
        date=now.astimezone(UTC).strftime("%d %B %Y"),
        machine=machine(),
        verdict=_verdict(results),
    )
    stories = [f"**{result.fault}.** {_paragraph(result)}\n" for result in results]
    return "\n".join((preface, *_markdown(results), "", LEGEND, "## What is done to the system\n", *stories))


def write_page(path: Path, results: Sequence[Result]) -> None:
    path.write_text(page(results, datetime.now(UTC)))


def machine() -> str:
    """The class of machine, without its name."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {pages * size / 2**30:.0f} GB, {platform.system()}, "
        f"Python {platform.python_version()}"
    )


def load_text(load: Load) -> str:
    return f"{load.full_events_per_s:,} events/s"


def _verdict(results: Sequence[Result]) -> str:
    broken = sum(bool(result.problems) for result in results)
    return f"{broken} of {len(results)} did not hold." if broken else f"All {len(results)} held."


def _markdown(results: Sequence[Result]) -> list[str]:
    rule = ("---",) * len(HEAD)
    return [f"| {' | '.join(cells)} |" for cells in (HEAD, rule, *(result.cells for result in results))]


def _paragraph(result: Result) -> str:
    return " ".join((*result.story.split(), *result.notes, *(f"BROKEN: {each}." for each in result.problems)))
