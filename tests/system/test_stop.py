"""The stack starts, is told about, mends itself, and leaves nothing behind."""

import json
import os
import signal
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.system.conftest import STOP_TIMEOUT_S, running_stack, until

KEYS = {
    "trackers",
    "redis_url",
    "aws_endpoint_url",
    "region",
    "event_stream",
    "update_stream",
    "events_table",
    "programs_table",
    "redis_channel",
    "pids",
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_leaves_no_process_and_no_file(tmp_path: Path, number: signal.Signals) -> None:
    with running_stack(tmp_path) as stack:
        pids = stack.file.pids
        assert set(json.loads((tmp_path / "stack.json").read_bytes())) >= KEYS
        assert {"valkey", "ministack", "tracker-1", "tracker-2", "persist", "refresh", "workers"} <= set(pids)

        os.killpg(stack.process.pid, number) if number == signal.SIGINT else stack.process.send_signal(number)

        assert stack.process.wait(STOP_TIMEOUT_S) == 0
    assert [name for name, pid in pids.items() if is_alive(pid)] == []
    assert not (tmp_path / "stack.json").exists()


def test_a_tracker_that_is_killed_is_started_again(tmp_path: Path) -> None:
    with running_stack(tmp_path) as stack:
        killed = stack.file.pids["tracker-2"]

        os.kill(killed, signal.SIGKILL)

        until(lambda: stack.read_file().pids["tracker-2"] != killed, timeout_s=15)
        answer = until(lambda: first_answer(stack.file.trackers[1]), timeout_s=15)
        assert answer is not None and answer.is_success, "it listens before it is ready"
        assert "tracker-2" in (tmp_path / "console.log").read_text()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def first_answer(url: str) -> httpx.Response | None:
    """Whether the tracker is ready, as it says itself; None while it does not listen."""
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/health/ready")
    return None
