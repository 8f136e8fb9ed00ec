"""The local stack as a whole: what it keeps, what it loses, and how it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from redis import Redis

from cdk.local.stack import ROOT
from cdk.local.stack_file import StackFile, read_stack_file
from tests.cdk.children import lives

pytestmark = pytest.mark.system

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
INTERVAL_S = 0.02


class Run:
    """`python -m cdk.local` as a child process; its console is a file."""

    def __init__(self, process: "subprocess.Popen[bytes]", run_dir: Path, console: Path) -> None:
        self.process = process
        self.run_dir = run_dir
        self._console = console

    @property
    def said(self) -> str:
        return self._console.read_text()

    def stack(self) -> StackFile:
        """Once it is ready, as `stack.json` has it now."""
        until(lambda: self.process.poll() is not None or read_stack_file(self.run_dir))
        found = read_stack_file(self.run_dir)
        assert found is not None, self.said
        return found

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.stack().trackers[0] + path, timeout=20)

    def stored(self, program_id: str) -> int:
        answer = self.get(f"/programs/{program_id}")
        return sum(answer.json()["totals"].values()) if answer.is_success else 0

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_TIMEOUT_S)


@contextmanager
def running(run_dir: Path, **environment: str) -> Iterator[Run]:
    command = [sys.executable, "-m", "cdk.local", "run", "--run-dir", str(run_dir), "--port", "0"]
    console = run_dir / "console.log"
    with console.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stdout=out, stderr=out)
    try:
        yield Run(process, run_dir, console)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(STOP_TIMEOUT_S)


def until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(INTERVAL_S)


def track_one(run: Run) -> None:
    before = run.stored("212313")
    assert run.get("/event/212313").status_code == 200
    until(lambda: run.stored("212313") == before + 1)


def test_state_comes_back_with_keep_and_only_then(tmp_path: Path) -> None:
    with running(tmp_path, KEEP="1") as first:
        assert first.get("/cache/fill").status_code == 200
        track_one(first)
        assert first.stop() == 0
    with running(tmp_path) as fresh:
        assert fresh.get("/event/212313").status_code == 404
    with running(tmp_path, KEEP="1") as second:
        assert second.stored("212313") == 1
        track_one(second)
        assert "cut off" not in second.said


def test_after_a_cut_off_run_redis_is_not_ahead_of_the_tables(tmp_path: Path) -> None:
    with running(tmp_path, KEEP="1") as first:
        assert first.get("/cache/fill").status_code == 200
        pids = first.stack().pids
        first.process.kill()
        first.process.wait()
    until(lambda: not any(map(lives, pids.values())))
    with running(tmp_path, KEEP="1") as second:
        assert second.get("/programs/212313").status_code == 404
        assert "The last run with KEEP=1 was cut off" in second.said


def test_a_killed_ministack_comes_back_empty_and_usable_and_says_so(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        assert run.get("/cache/fill").status_code == 200
        track_one(run)

        os.kill(run.stack().pids["ministack"], signal.SIGKILL)
        until(lambda: "ministack is back; everything in its tables and streams is lost" in run.said)

        until(lambda: run.get("/cache/fill").status_code == 200)
        until(lambda: run.get("/event/212313").status_code == 200)
        until(lambda: run.stored("212313") > 0)
        until(lambda: counts_live(run))


def counts_live(run: Run) -> bool:
    """Whether the workers have counted something since Redis was emptied."""
    with Redis.from_url(run.stack().redis_url) as redis:
        return bool(list(redis.scan_iter(match="minute:*")))


def test_every_part_that_is_killed_comes_back(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        assert run.get("/cache/fill").status_code == 200
        for name in ("persist", "refresh", "workers", "valkey", "tracker-1"):
            killed = run.stack().pids[name]
            os.kill(killed, signal.SIGKILL)
            until(lambda name=name, killed=killed: run.stack().pids[name] != killed)  # type: ignore[misc]

        until(lambda: is_ready(run))
        track_one(run)
        pids = run.stack().pids
    assert not any(map(lives, pids.values()))


def is_ready(run: Run) -> bool:
    try:
        return run.get("/health/ready").is_success
    except httpx.TransportError:
        return False


def test_a_stop_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        until((tmp_path / "logs" / "ministack.log").exists)
        assert run.stop() == 0

        assert run.said.splitlines()[-2:] == ["Stopping ...", "Stopped."]
    assert not (tmp_path / "stack.json").exists()


def test_a_second_run_in_the_same_place_is_one_clear_line(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.stack()
        second = subprocess.run(
            [sys.executable, "-m", "cdk.local", "run", "--run-dir", str(tmp_path), "--port", "0"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
        )

        assert second.returncode == 1
        (line,) = second.stderr.splitlines()
        assert f"already running here (process {run.process.pid})" in line
        assert run.get("/health/ready").status_code == 200


@pytest.mark.parametrize(
    ("store", "lose", "status"), [("items", "0", 0), ("items", "2", 1), ("packed", "2", 1)]
)
def test_the_demo_ends_by_itself_and_its_status_tells_whether_the_ledger_balances(
    tmp_path: Path, store: str, lose: str, status: int
) -> None:
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "cdk.local",
            "demo",
            "--run-dir",
            str(tmp_path),
            "--events",
            "2000",
            "--lose",
            lose,
        ],
        cwd=ROOT,
        env={**os.environ, "EVENT_STORE": store},
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert ended.returncode == status, ended.stdout + ended.stderr
    assert ended.stdout.count("acknowledged and not stored") == int(lose)
    assert ("The ledger balances: 2,032 acknowledged" in ended.stdout) == (status == 0)
