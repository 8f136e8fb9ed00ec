"""`stack.json`: where a running stack is, for tools and tests; and the claim on its directory."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import msgspec

from cdk.local.errors import AlreadyRunningError
from cdk.local.plan import Plan

STACK_FILE = "stack.json"
LOCK_FILE = "lock"


class StackFile(msgspec.Struct, frozen=True, kw_only=True):
    """A running stack. `trackers` are base URLs; `pids` change when a part is started again."""

    trackers: list[str]
    redis_url: str
    aws_endpoint_url: str
    region: str
    event_stream: str
    update_stream: str
    touch_stream: str
    events_table: str
    programs_table: str
    totals_table: str
    leases_table: str
    state_table: str
    matches_table: str
    failed_events_bucket: str
    redis_channel: str
    pids: dict[str, int]


def stack_file(plan: Plan, pids: dict[str, int]) -> StackFile:
    config = plan.config
    return StackFile(
        trackers=plan.tracker_urls,
        redis_url=plan.addresses.redis_url,
        aws_endpoint_url=plan.addresses.aws_url,
        region=config.region,
        event_stream=config.event_stream.name,
        update_stream=config.update_stream.name,
        touch_stream=config.touch_stream.name,
        events_table=config.events.name,
        programs_table=config.programs.name,
        totals_table=config.totals.name,
        leases_table=config.leases.name,
        state_table=config.state.name,
        matches_table=config.matches.name,
        failed_events_bucket=config.failed_events_bucket,
        redis_channel=config.redis_channel,
        pids=pids,
    )


def write_stack_file(run_dir: Path, stack: StackFile) -> None:
    """Replaces `stack.json` at once: a reader sees the old one or the new one, never a part."""
    temporary = run_dir / f"{STACK_FILE}.new"
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(stack)) + b"\n")
    temporary.replace(run_dir / STACK_FILE)


def read_stack_file(run_dir: Path) -> StackFile | None:
    """The stack that is ready in this directory; None when there is none."""
    try:
        data = (run_dir / STACK_FILE).read_bytes()
    except FileNotFoundError:
        return None
    return msgspec.json.decode(data, type=StackFile) if _claimed(run_dir) else None


@contextmanager
def claim(run_dir: Path) -> Iterator[None]:
    """Holds the directory for one stack; leaving it removes `stack.json`.

    The kernel lets go of the claim should this process be killed. Raises AlreadyRunningError.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / LOCK_FILE).open("a+") as lock:
        if not _lock(lock):
            lock.seek(0)
            raise AlreadyRunningError(
                f"A stack is already running here (process {lock.read().strip()}): {run_dir / STACK_FILE} "
                f"says where. Stop it with Ctrl-C in its terminal, or start another beside it: "
                f".venv/bin/python -m cdk.local run --run-dir .run/other --port 0"
            )
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        _forget(run_dir)
        try:
            yield
        finally:
            _forget(run_dir)


def _claimed(run_dir: Path) -> bool:
    try:
        with (run_dir / LOCK_FILE).open() as lock:
            return not _lock(lock)
    except FileNotFoundError:
        return False


def _lock(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _forget(run_dir: Path) -> None:
    (run_dir / STACK_FILE).unlink(missing_ok=True)
