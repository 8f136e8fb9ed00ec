"""What a load was, as one HTML file that needs no other."""

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from string import Template

from tests.load.charts import histogram_chart, line_chart
from tests.load.fleet import Progress
from tests.load.plan import Plan
from tests.load.report import measured, remarks, summary
from tests.load.view import SHARES, percentile_name

BARS = 60
TEMPLATE = Path(__file__).with_name("page.html")


def write_page(path: Path, progress: Progress) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(progress))


def page(progress: Progress) -> str:
    latency, errors = progress.tally.latency, progress.tally.errors
    return Template(TEMPLATE.read_text()).substitute(
        summary=escape(summary(progress)),
        remarks="".join(f'<p class="remark">{escape(remark)}</p>' for remark in remarks(progress)),
        percentiles=_percentiles(progress),
        histogram=histogram_chart(latency.bars(BARS), "How many requests took how long"),
        latency=line_chart(_percentile_lines(progress), "p50 and p99 over time", " ms"),
        rate=line_chart(_event_lines(progress), "Events acknowledged and failed, per second"),
        plan=_table(_asked(progress.plan).items()),
        errors=_errors(errors),
    )


def _percentiles(progress: Progress) -> str:
    rows = [
        [name, *(f"{histogram.percentile(share):.1f}" for share in SHARES)]
        for name, histogram in measured(progress).items()
    ]
    return _table([["ms", *map(percentile_name, SHARES)], *rows])


def _percentile_lines(progress: Progress) -> dict[str, list[tuple[float, float]]]:
    return {
        name: [(moment.at_s, moment.latency.percentile(share)) for moment in progress.moments]
        for name, share in (("p50", 0.5), ("p99", 0.99))
    }


def _event_lines(progress: Progress) -> dict[str, list[tuple[float, float]]]:
    return {
        "acknowledged/s": [(moment.at_s, moment.acknowledged_per_s) for moment in progress.moments],
        "failed/s": [(moment.at_s, moment.failed_per_s) for moment in progress.moments],
    }


def _asked(plan: Plan) -> dict[str, str]:
    return {
        "trackers": ", ".join(plan.trackers),
        "programs": f"{len(plan.programs):,}",
        "events a second": f"{plan.rate_per_s:,g}" if plan.rate_per_s else "as many as are answered",
        "rising for": f"{plan.ramp_s:g} s",
        "events a request": ", ".join(map(str, plan.batch_sizes)),
        "mix": ", ".join(f"{kind} {share}" for kind, share in plan.mix.items()),
        "wrong checksums": f"{plan.wrong_checksums:.1%}",
        "unanswered at most": f"{plan.connections} requests",
        "processes": str(plan.processes),
        "ids begin with": f"{plan.run[:8]}-{plan.run[8:]}",
    }


def _errors(errors: Mapping[str, int]) -> str:
    if not errors:
        return ""
    rows = [("events", "reason")] + [(f"{count:,}", reason) for reason, count in sorted(errors.items())]
    return f'<h2>What failed, and was sent again if of use</h2><div class="failed">{_table(rows)}</div>'


def _table(rows: Iterable[Iterable[str]]) -> str:
    lines = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows)
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"
