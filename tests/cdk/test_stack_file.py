import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from cdk.local.errors import AlreadyRunningError
from cdk.local.stack_file import STACK_FILE, StackFile, claim, read_stack_file, write_stack_file

KEYS = {
    "trackers",
    "redis_url",
    "aws_endpoint_url",
    "region",
    "event_stream",
    "update_stream",
    "touch_stream",
    "events_table",
    "programs_table",
    "totals_table",
    "leases_table",
    "state_table",
    "matches_table",
    "failed_events_bucket",
    "redis_channel",
    "pids",
}
CLAIM_AND_HANG = """
import pathlib, sys, time
from cdk.local.stack_file import claim
with claim(pathlib.Path(sys.argv[1])):
    print("claimed", flush=True)
    time.sleep(60)
"""


def make_stack_file(**changes: object) -> StackFile:
    texts = {name: name for name in KEYS - {"trackers", "pids"}}
    given = {"trackers": ["http://127.0.0.1:8080"], "pids": {"valkey": 1}} | texts | changes
    return msgspec.convert(given, StackFile)


def test_the_file_has_the_keys_that_tools_know(tmp_path: Path) -> None:
    write_stack_file(tmp_path, make_stack_file())

    assert msgspec.json.decode((tmp_path / STACK_FILE).read_bytes()).keys() == KEYS


def test_a_running_stack_is_read_back_as_it_changes(tmp_path: Path) -> None:
    with claim(tmp_path):
        write_stack_file(tmp_path, make_stack_file())
        write_stack_file(tmp_path, make_stack_file(pids={"valkey": 2}))

        assert read_stack_file(tmp_path) == make_stack_file(pids={"valkey": 2})


def test_the_file_goes_with_the_claim(tmp_path: Path) -> None:
    with claim(tmp_path):
        write_stack_file(tmp_path, make_stack_file())

    assert not (tmp_path / STACK_FILE).exists()
    assert read_stack_file(tmp_path) is None


def test_a_second_stack_in_the_same_place_is_told_of_the_first(tmp_path: Path) -> None:
    with claim(tmp_path), pytest.raises(AlreadyRunningError, match="already running here"), claim(tmp_path):
        pass


def test_a_killed_stack_leaves_neither_claim_nor_trust_in_its_file(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CLAIM_AND_HANG, str(tmp_path)], stdout=subprocess.PIPE
    ) as killed:
        assert killed.stdout is not None
        killed.stdout.readline()
        write_stack_file(tmp_path, make_stack_file())
        killed.send_signal(signal.SIGKILL)

    assert read_stack_file(tmp_path) is None
    with claim(tmp_path):
        assert not (tmp_path / STACK_FILE).exists()
