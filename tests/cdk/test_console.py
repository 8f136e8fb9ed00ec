import errno
import io
import sys
from pathlib import Path

import pytest

from cdk.local.console import LINES_PER_WINDOW, WINDOW_S, Output, say


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def said() -> list[str]:
    return []


def make_output(tmp_path: Path, said: list[str], clock: Clock, *, quiet: bool = False) -> Output:
    return Output("persist", tmp_path / "persist.log", say=said.append, quiet=quiet, clock_s=clock)


def test_everything_goes_to_the_log_and_loud_lines_to_the_console(
    tmp_path: Path, said: list[str], clock: Clock
) -> None:
    output = make_output(tmp_path, said, clock)

    output.write(b"INFO starts\nWARN")
    output.write(b"ING a shard is slow\nINFO goes on\n")
    output.close()

    assert (tmp_path / "persist.log").read_text() == "INFO starts\nWARNING a shard is slow\nINFO goes on\n"
    assert said == ["persist: WARNING a shard is slow"]
    assert output.last_line == "INFO goes on"


def test_a_quiet_part_only_logs(tmp_path: Path, said: list[str], clock: Clock) -> None:
    output = make_output(tmp_path, said, clock, quiet=True)

    output.write(b"# WARNING overcommit\n")
    output.close()

    assert said == []
    assert output.last_line == "# WARNING overcommit"


def test_a_flood_is_cut_and_the_log_named(tmp_path: Path, said: list[str], clock: Clock) -> None:
    output = make_output(tmp_path, said, clock)

    output.write(b"ERROR no connection\n" * 50)
    clock.now_s = WINDOW_S
    output.write(b"ERROR again\n")
    output.close()

    assert len(said) == LINES_PER_WINDOW + 1
    assert str(tmp_path / "persist.log") in said[-2]
    assert said[-1] == "persist: ERROR again"


def test_output_without_lines_stays_bounded(tmp_path: Path, said: list[str], clock: Clock) -> None:
    output = make_output(tmp_path, said, clock)

    output.write(b"x" * 10_000_000)
    output.write(b"\n")
    output.close()

    assert len(output.last_line) < 100_000


def test_a_terminal_that_is_gone_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.EIO, "the terminal is gone")

    monkeypatch.setattr(sys, "stdout", Gone())

    say("hello")
