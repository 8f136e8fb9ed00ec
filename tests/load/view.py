"""What a load looks like while it runs: a view that is kept up to date, or a line now and then."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tests.load.fleet import Progress, Say
from tests.load.histogram import Histogram

LINE_INTERVAL_S = 5.0
"""Where no terminal shows it."""
SHARES = (0.5, 0.9, 0.95, 0.99, 0.999, 1.0)
WIDTH = 60


@contextmanager
def live_view(console: Console) -> Iterator[Say]:
    if not console.is_terminal:
        yield _Lines(console).say
        return
    with Live(console=console, transient=True, auto_refresh=False) as live:
        yield lambda progress: live.update(view(progress), refresh=True)


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._next_s = LINE_INTERVAL_S

    def say(self, progress: Progress) -> None:
        if progress.took_s >= self._next_s:
            self._next_s = progress.took_s + LINE_INTERVAL_S
            self._console.print(line(progress), soft_wrap=True)


def line(progress: Progress) -> str:
    """How far it is, in one line."""
    tally, now = progress.tally, progress.moments[-1]
    return (
        f"{progress.took_s:5.0f} s  {tally.acknowledged:,} acknowledged, {now.acknowledged_per_s:,.0f}/s, "
        f"p99 {now.latency.percentile(0.99):.1f} ms, {sum(tally.errors.values()):,} failed"
    )


def view(progress: Progress) -> Group:
    """All that is known so far, to be looked at."""
    plan = progress.plan
    bar = ProgressBar(total=plan.duration_s, completed=min(progress.took_s, plan.duration_s), width=WIDTH)
    time = Text(f"{min(progress.took_s, plan.duration_s):.0f} of {plan.duration_s:g} s, at most")
    now, all_of_them = progress.moments[-1].latency, progress.tally.latency
    return Group(bar, time, _counts(progress), latencies({"now": now, "all": all_of_them}))


def _counts(progress: Progress) -> Table:
    tally, now = progress.tally, progress.moments[-1]
    table = Table.grid(padding=(0, 2))
    table.add_row("acknowledged", f"{now.acknowledged_per_s:,.0f}/s", f"{tally.acknowledged:,} events")
    table.add_row("unanswered", "", f"{tally.unanswered:,}")
    for reason, events in sorted(tally.errors.items()):
        table.add_row("[red]failed[/red]", "", f"{events:,} {reason}")
    return table


def latencies(histograms: Mapping[str, Histogram]) -> Table:
    """Their percentiles, in milliseconds."""
    table = Table("ms", *map(percentile_name, SHARES))
    for name, histogram in histograms.items():
        table.add_row(name, *(f"{histogram.percentile(share):.1f}" for share in SHARES))
    return table


def percentile_name(share: float) -> str:
    return "most" if share == 1 else f"p{share * 100:g}"
