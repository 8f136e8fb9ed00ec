from pathlib import Path

import msgspec
import pytest

from tests.bench.delays import Delays
from tests.bench.endurance import Memory
from tests.bench.figures import Figures
from tests.bench.goals import goals
from tests.bench.growth import Growth, Point
from tests.bench.held import Held
from tests.bench.order import Latencies
from tests.bench.persist import Measured as Stored
from tests.bench.persist import Stores
from tests.bench.plan import Plan
from tests.bench.report import document
from tests.bench.rounds import Result
from tests.bench.steps import Step, Steps
from tests.bench.tracker import Measured

CASES = (
    "bare",
    "naive",
    "durable",
    "buffered",
    "durable, 1 connection",
    "buffered, 1 connection",
    "buffered, click",
    "durable, 100 events in json",
    "durable, 100 events in msgpack",
)


def result(case: str, *, per_cpu_s: float = 1_000, p99_ms: float = 5, events_per_put: float = 32) -> Result:
    return Result(
        case=case,
        requests_per_s=1_000,
        per_cpu_s=per_cpu_s,
        events_per_cpu_s=per_cpu_s * 100,
        to_bare=per_cpu_s / 1_000,
        latency_ms=Latencies(1, p99_ms, p99_ms, p99_ms),
        lag_ms=None,
        rss_mb=100,
        system_share=0.5,
        events_per_put=events_per_put,
    )


def growth() -> Growth:
    points = [Point(at, result(f"{at}")) for at in (1, 10)]
    return Growth(
        plan=Plan(),
        shards=points,
        connections=points,
        programs=points,
        tasks=points,
        kb_per_idle_connection=12.5,
    )


def stores() -> Stores:
    names = {"naive, a PutItem each": 1.0, "an item each": 8.0, "packed, 10 programs": 59.0}
    names["packed, 100 programs"] = 12.0
    return Stores(
        5,
        [
            Stored(case=case, events_per_cpu_s=1_000 * ratio, us_per_event=1_000 / ratio, to_naive=ratio)
            for case, ratio in names.items()
        ],
    )


def delays() -> list[Delays]:
    slow, spread = Latencies(30, 51, 51, 51), Latencies(3, 51, 51, 51)
    return [
        Delays(rate=10, samples=4, changes=20, stored_ms=slow, page_ms=slow, memory_ms=spread, change_ms=slow)
    ]


def figures(measured: Measured) -> Figures:
    return Figures(
        tracker=measured,
        growth=growth(),
        held=[Held(10, 1_000, 0.5), Held(1_000_000, 900, 3.5)],
        endurance=[Memory(0, 99), Memory(1_000_000, 104), Memory(2_000_000, 105)],
        steps=Steps(view=[Step("read the request", 3.0)], item=[Step("decode it", 0.25)]),
        weights=[("Python", 20.0), ("Sanic", 12.0)],
        delays=delays(),
        persist=stores(),
    )


def compared(plan: Plan | None = None) -> Measured:
    saturated = [result(case, per_cpu_s=900 if case == "buffered" else 700) for case in CASES]
    steady = [result("durable", p99_ms=24), result("buffered", p99_ms=10)]
    return Measured(plan or Plan(), saturated, steady)


def test_a_goal_is_reached_or_not_by_the_figures_of_the_run() -> None:
    reached = {goal.what: goal.is_met for goal in goals(figures(compared()))}

    assert reached == {
        "durable GET, of bare": False,
        "durable GET, of naive": False,
        "buffered GET, of bare": True,
        "buffered GET, of bare (stretch)": False,
        "events per CPU second, msgpack": True,
        "events per CPU second, JSON": True,
        "durable p99 at 70 %, ms": True,
        "buffered p99 at 70 %, ms": False,
        "persist, an item each, of naive": True,
        "persist, packed, of naive": False,
        "change to both memories, p50 ms": True,
        "change to both memories, p99 ms": False,
        "memory with 10,000 programs, MB": True,
        "growth of it in the last 1,000,000 of 2,000,000 events, MB": True,
    }


def test_the_page_has_every_case_and_shows_every_curve(tmp_path: Path) -> None:
    text = document(figures(compared(Plan(rounds=3))), charts=tmp_path / "charts")

    assert "Medians of 3 rounds" in text
    assert "Not measured" not in text
    assert all(f"| {case} |" in text for case in CASES)
    assert "| packed, 100 programs |" in text
    assert "12.5 KB" in text
    assert "| 10 | 30.0 / 51.0 |" in text
    drawn = sorted(path.stem for path in (tmp_path / "charts").iterdir())
    assert drawn == ["connections", "look-ups", "memory", "programs", "shards"]
    assert all(f"(charts/{name}.svg)" in text for name in drawn)
    assert max(len(line) for line in text.splitlines() if not line.startswith("|")) <= 110


@pytest.mark.parametrize("part", Figures._fields)
def test_the_page_is_of_the_other_parts_where_one_failed(tmp_path: Path, part: str) -> None:
    text = document(figures(compared())._replace(**{part: None}), charts=tmp_path / "charts")

    assert f"**Not measured this time: {part}.**" in text
    assert "## Goals" in text


def test_some_cases_alone_reach_no_goals(tmp_path: Path) -> None:
    some = Measured(Plan(only="gzip"), [result("bare"), result("durable, gzip")], [result("bare")])

    text = document(Figures(tracker=some), charts=tmp_path / "charts")

    assert not list(goals(Figures(tracker=some)))
    assert "| durable, gzip |" in text


def test_a_page_of_nothing_says_so(tmp_path: Path) -> None:
    text = document(Figures(), charts=tmp_path / "charts")

    assert f"**Not measured this time: {', '.join(Figures._fields)}.**" in text.replace("\n", " ")


def test_of_the_curves_it_says_where_they_bend_and_what_goes_with_it(tmp_path: Path) -> None:
    falling = [Point(at, result(str(at), per_cpu_s=8_000 / at, events_per_put=64 / at)) for at in (1, 2, 4)]
    grown = msgspec.structs.replace(growth(), shards=falling)

    text = document(Figures(growth=grown), charts=tmp_path / "charts").replace("\n", " ")

    assert "By shards, the curve falls by 75% from 1 to 4 shards, as does what a put carries" in text
    assert "64.0 events at first and 16.0 at last" in text
    assert "By programs, the curve is flat from 1 to 10 programs" in text
