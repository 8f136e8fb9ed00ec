"""What a load was, once it has ended: for a terminal."""

from rich.bar import Bar
from rich.console import Console
from rich.table import Table

from tests.load.fleet import Progress
from tests.load.histogram import Histogram
from tests.load.view import latencies

BARS = 20
BAR_WIDTH = 50
BUSY = 0.8
"""A process that took so much of a core may have been what was measured."""


def print_report(progress: Progress, console: Console) -> None:
    console.print(summary(progress), soft_wrap=True)
    if progress.tally.latency.total:
        console.print(latencies(measured(progress)))
        console.print(_bars(progress.tally.latency))
    for reason, events in sorted(progress.tally.errors.items()):
        console.print(f"[red]{events:,} failed: {reason}[/red]", soft_wrap=True)
    for remark in remarks(progress):
        console.print(f"[yellow]{remark}[/yellow]", soft_wrap=True)


def summary(progress: Progress) -> str:
    tally, plan = progress.tally, progress.plan
    asked = f"{plan.rate_per_s:,.0f}/s asked" if plan.rate_per_s else "as fast as they were answered"
    return (
        f"{tally.acknowledged:,} of {tally.sent:,} events acknowledged in {progress.took_s:.1f} s: "
        f"{progress.rate_per_s:,.0f}/s ({asked}), {tally.requests:,} requests"
    )


def measured(progress: Progress) -> dict[str, Histogram]:
    """Of requests: a late one had to wait for a connection, or for the load itself."""
    return {
        "due to acknowledged": progress.tally.latency,
        "of that, due to sent": progress.tally.late,
    }


def remarks(progress: Progress) -> list[str]:
    """What to know before believing the figures."""
    found = []
    if progress.tally.unsent:
        found.append(
            f"{progress.tally.unsent:,} requests were due and not sent: the trackers did not keep up with "
            f"the rate, with {progress.plan.connections} requests unanswered at a time"
        )
    if progress.busy > BUSY:
        found.append(
            f"The load's own processes were {progress.busy:.0%} busy: give it more (--processes), or take "
            f"these figures for its own limit"
        )
    return found


def _bars(latency: Histogram) -> Table:
    bars = latency.bars(BARS)
    most = max(bar.count for bar in bars)
    table = Table.grid(padding=(0, 1))
    for bar in bars:
        table.add_row(f"{bar.from_ms:9.2f} ms", Bar(most, 0, bar.count, width=BAR_WIDTH), f"{bar.count:,}")
    return table
