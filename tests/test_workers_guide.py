"""docs/workers.md: what it shows is a file that runs, and what it says of a limit is so."""

import re
from pathlib import Path

import pytest

import workers.runtime
from workers.agents import recent, sketch
from workers.runtime.table import KEY_MAX_BYTES, VALUE_MAX_BYTES
from workers.settings import AgentSettings

ROOT = Path(__file__).resolve().parents[1]
GUIDE = (ROOT / "docs" / "workers.md").read_text()
SHOWN = re.findall(r"`(docs/examples/\w+\.py)`:\n\n```python\n(.*?)```", GUIDE, re.DOTALL)


def test_the_guide_shows_its_examples() -> None:
    assert [path for path, _ in SHOWN] == [
        "docs/examples/clicks.py",
        "docs/examples/referrers.py",
        "docs/examples/test_referrers.py",
    ]


@pytest.mark.parametrize(("path", "code"), SHOWN)
def test_what_is_shown_is_the_file(path: str, code: str) -> None:
    assert code == (ROOT / path).read_text()


def test_the_way_through_the_runtime_leads_to_modules_that_are_there() -> None:
    named = re.findall(r"\w+\.py", str(workers.runtime.__doc__))

    assert set(named) <= {path.name for path in (ROOT / "workers" / "runtime").glob("*.py")}


def test_the_first_agent_is_ten_lines_or_fewer() -> None:
    _, _, agent = SHOWN[0][1].partition("\n\n\n")

    assert len(agent.splitlines()) <= 10


@pytest.mark.parametrize(
    "limit", [KEY_MAX_BYTES, VALUE_MAX_BYTES, sketch.EXACT, recent.REMEMBERED], ids=lambda limit: f"{limit:,}"
)
def test_the_guide_tells_the_limits_as_they_are(limit: int) -> None:
    assert re.search(rf"\b{limit:,}\b", GUIDE)


def test_the_guide_tells_how_long_a_click_is_good_for() -> None:
    assert AgentSettings().matcher_window_ms == 30 * 60_000
    assert "half an hour" in GUIDE


def test_the_guide_tells_what_a_flood_is() -> None:
    told = AgentSettings()

    assert (told.guard_window_ms, told.guard_flag_ms) == (10_000, 60_000)
    flood = f"{told.guard_high} clicks within 10 seconds, and {told.guard_low} in each 10 seconds after that"
    assert flood in GUIDE
    assert f"the {told.guard_watched_max} busiest visitors of a shard are watched" in GUIDE
