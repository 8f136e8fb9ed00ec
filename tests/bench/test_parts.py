import sys
from pathlib import Path

import pytest

from tests.bench.__main__ import PARTS
from tests.bench.figures import Figures, forget, keep, kept
from tests.bench.held import Held
from tests.bench.image import absent
from tests.bench.parts import run_part

HANGS = "import time; time.sleep(60)"
IGNORES = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); {HANGS}"


def test_a_part_that_is_measured_has_nothing_to_say() -> None:
    assert run_part(python("pass")) is None


def test_a_part_that_fails_says_so() -> None:
    assert run_part(python("raise SystemExit(3)")) == "it ended with status 3"


@pytest.mark.parametrize("code", [HANGS, IGNORES])
def test_a_part_that_hangs_says_so_and_is_ended(code: str) -> None:
    why = run_part(python(code), timeout_s=0.5, end_timeout_s=0.5)

    assert why == "it took longer than 0.5 s"


def test_every_part_has_its_place_on_the_page() -> None:
    assert tuple(PARTS) == Figures._fields


def test_figures_are_read_again_until_they_are_forgotten(tmp_path: Path) -> None:
    held = [Held(10, 900.5, 0.5)]
    keep(tmp_path / "bench", "held", held)

    assert kept(tmp_path / "bench").held == held
    assert "held" not in kept(tmp_path / "bench").missing
    keep(tmp_path / "bench", "growth", {"measured": "otherwise"})
    assert "growth" in kept(tmp_path / "bench").missing
    forget(tmp_path / "bench", "held")
    assert kept(tmp_path / "bench") == Figures()


def test_packages_that_the_image_has_not_are_absent(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("sanic==1.0 \\\n    --hash=sha256:0\nTyping.Extensions==4\n")

    names = absent(lock).split(",")

    assert "msgspec" in names and "httpx" in names
    assert "sanic" not in names and "typing_extensions" not in names


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]
