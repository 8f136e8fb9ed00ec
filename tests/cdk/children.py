"""Tiny real child processes, and ways to wait for what becomes of them."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

from cdk.local.supervisor import Part

TIMEOUT_S = 20.0
INTERVAL_S = 0.01

STAYS = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (open(sys.argv[1], "a").write(sys.argv[2] + "\\n"), sys.exit(0)))
print("up", flush=True)
while True:
    time.sleep(60)
"""
"""On SIGTERM it adds its name (argument 2) to a file (argument 1), and ends."""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
while True:
    time.sleep(60)
"""


def make_part(
    directory: Path,
    name: str = "part",
    *,
    script: str = STAYS,
    ready: Callable[[], bool] | None = None,
    start_timeout_s: float = TIMEOUT_S,
    stop_timeout_s: float = TIMEOUT_S,
) -> Part:
    """A part that is ready once it has printed a line."""
    log = directory / f"{name}.log"

    async def is_ready() -> bool:
        return ready() if ready is not None else log.exists() and b"\n" in log.read_bytes()

    return Part(
        name=name,
        command=(sys.executable, "-S", "-c", script, str(directory / "ended"), name),
        environment={},
        directory=directory,
        ready=is_ready,
        start_timeout_s=start_timeout_s,
        stop_timeout_s=stop_timeout_s,
    )


def lives(pid: int) -> bool:
    """Whether this process runs; one that has ended and was not waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


async def until(condition: Callable[[], object]) -> None:
    """Returns once `condition` holds. Raises TimeoutError after TIMEOUT_S."""
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            if condition():
                return
            await asyncio.sleep(INTERVAL_S)
