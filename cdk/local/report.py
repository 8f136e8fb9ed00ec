"""What the demo prints at its end: the measured times and the ledger."""

import math
from collections.abc import Sequence

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from cdk.local.audit import Audit
from cdk.local.freshness import Times

PROBLEMS_SHOWN = 20


class Loaded(Struct, frozen=True, kw_only=True):
    """A load: how many events were sent in what time, and when all were counted after the last."""

    events: int
    took_s: float
    stored_after_s: float


class Findings(Struct, frozen=True, kw_only=True):
    """All that one demo found out."""

    audit: Audit
    loaded: Loaded
    lone_ms: list[float]
    single_ms: list[float]
    batch_ms: list[float]
    changes: list[Times]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of `values` do not exceed (nearest rank); 0 for none."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)] if ranked else 0.0


def print_report(findings: Findings, console: Console | None = None) -> None:
    """Prints the times, the ledger, and what does not balance, event by event."""
    console = console or Console()
    console.print(_summary(findings), soft_wrap=True)
    console.print(_times(findings))
    print_ledger(findings.audit, console)


def print_ledger(audit: Audit, console: Console) -> None:
    """Prints the ledger, what does not balance, event by event, and the verdict."""
    console.print(_ledger(audit))
    problems = audit.problems()
    for problem in problems[:PROBLEMS_SHOWN]:
        console.print(f"[red]{problem}[/red]", soft_wrap=True)
    if len(problems) > PROBLEMS_SHOWN:
        console.print(f"[red]... and {len(problems) - PROBLEMS_SHOWN} more[/red]")
    console.print(_verdict(audit), soft_wrap=True)


def _times(findings: Findings) -> Table:
    table = Table("measured", "p50", "p99", title="Times on this machine", title_justify="left")
    after_put_ms = [each.after_put_ms for each in findings.changes]
    after_publish_ms = [each.after_publish_ms for each in findings.changes]
    for what, values in (
        ("a single event acknowledged", findings.single_ms),
        ("a batch of up to 100 acknowledged", findings.batch_ms),
        ("a lone event in the table, after its request", findings.lone_ms),
        ("a change answered by each tracker, after the PUT", after_put_ms),
        ("... after the message on Redis", after_publish_ms),
    ):
        table.add_row(what, f"{percentile(values, 0.5):.1f} ms", f"{percentile(values, 0.99):.1f} ms")
    return table


def _ledger(audit: Audit) -> Table:
    table = Table(
        "program", "total of", "acknowledged", "stored", "counted", "", title="Ledger", title_justify="left"
    )
    for row in audit.rows:
        table.add_row(
            row.program_id,
            row.counts_as,
            *(f"{number:,}" for number in (row.acknowledged, row.stored, row.total)),
            "=" if row.balanced else "[red]wrong[/red]",
        )
    return table


def _summary(findings: Findings) -> str:
    loaded = findings.loaded
    return (
        f"The load of {loaded.events:,} events was acknowledged in {loaded.took_s:.1f} s "
        f"({loaded.events / loaded.took_s:,.0f}/s); all stored and counted {loaded.stored_after_s:.1f} s "
        f"after the last acknowledgement."
    )


def _verdict(audit: Audit) -> str:
    if not audit.balanced:
        return f"[bold red]The ledger does not balance: {len(audit.problems())} findings.[/bold red]"
    acknowledged = sum(row.acknowledged for row in audit.rows)
    return (
        f"[bold green]The ledger balances:[/bold green] {acknowledged:,} acknowledged, none missing, none "
        f"stored twice, every total right."
    )
