from pathlib import Path

import pytest

from tests.bench import report
from tests.bench.client import Latencies
from tests.bench.delays import Delays
from tests.bench.endurance import Memory
from tests.bench.growth import Growth, Point
from tests.bench.held import Held
from tests.bench.report import Figures
from tests.bench.rounds import Result
from tests.bench.tracker import Measured, Plan

CASES = (
    "bare",
    "naive",
    "durable",
    "buffered",
    "durable, 100 events in json",
    "durable, 100 events in msgpack",
)


def result(case: str, *, per_cpu_s: float = 1_000, p99_ms: float = 5) -> Result:
    return Result(
        case=case,
        requests_per_s=1_000,
        per_cpu_s=per_cpu_s,
        events_per_cpu_s=per_cpu_s * 100,
        to_bare=per_cpu_s / 1_000,
        latency_ms=Latencies(1, p99_ms, p99_ms, p99_ms),
        lag_ms=None,
        rss_mb=100,
    )


def growth() -> Growth:
    points = [Point(at, result(f"{at}")) for at in (1, 10)]
    return Growth(
        shards=points,
        connections=points,
        programs=points,
        tasks=points,
        kb_per_idle_connection=12.5,
    )


def figures(measured: Measured) -> Figures:
    return Figures(
        measured=measured,
        growth=growth(),
        held=[Held(10, 1_000, 0.5), Held(1_000_000, 900, 3.5)],
        memory=[Memory(0, 99), Memory(1_000_000, 104), Memory(2_000_000, 105)],
        delays=delays(),
    )


def delays() -> list[Delays]:
    slow, spread = Latencies(30, 51, 51, 51), Latencies(3, 51, 51, 51)
    return [Delays(rate=10, stored_ms=slow, page_ms=slow, memory_ms=spread, change_ms=slow)]


def test_a_goal_is_reached_or_not_by_the_figures_of_the_run() -> None:
    saturated = [result(case, per_cpu_s=900 if case == "buffered" else 700) for case in CASES]
    steady = [result("durable", p99_ms=24), result("buffered", p99_ms=10)]

    reached = {goal.what: goal.is_met for goal in report.goals(figures(Measured(Plan(), saturated, steady)))}

    assert reached == {
        "durable GET, of bare": False,
        "durable GET, of naive": False,
        "buffered GET, of bare": True,
        "buffered GET, of bare (stretch)": False,
        "events per CPU second, msgpack": True,
        "events per CPU second, JSON": True,
        "durable p99 at 70 %, ms": True,
        "buffered p99 at 70 %, ms": False,
        "change to both memories, p50 ms": True,
        "change to both memories, p99 ms": False,
        "memory with 10,000 programs, MB": True,
        "growth of it in the second million events, MB": True,
    }


def test_the_document_has_every_case_and_shows_every_curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    saturated = [result(case) for case in CASES]

    text = report.document(
        figures(Measured(Plan(rounds=3), saturated, [result("durable"), result("buffered")]))
    )

    assert "Medians of 3 rounds" in text
    assert all(f"| {case} |" in text for case in CASES)
    assert "12.5 KB" in text
    assert "| 10 | 30.0 / 51.0 |" in text
    drawn = sorted(path.stem for path in (tmp_path / "docs/charts").iterdir())
    assert drawn == ["connections", "look-ups", "memory", "programs", "shards"]
    assert all(f"(charts/{name}.svg)" in text for name in drawn)
