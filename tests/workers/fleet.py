"""Worker processes that are killed at random, again and again."""

import asyncio
import random
import re
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tests.workers.turns import Commit

ROOT = Path(__file__).parents[2]
WORKERS = 3
KILL_EVERY_S = 2.0
START_TIMEOUT_S = 30
LOOK_EVERY_S = 0.02
LINE = re.compile(r"^(\d+\.\d+) (.*)$", re.MULTILINE)
COMMIT = re.compile(r"(\S+): commit (\d+) under (\S+)")


class Line(NamedTuple):
    """What a worker said, and when, by the wall clock. `worker` is the number of its process."""

    at_s: float
    worker: int
    text: str


class Fleet:
    """Worker processes, each writing what it says to a file of its own, after whose number it is named."""

    def __init__(
        self,
        environment: Mapping[str, str],
        logs: Path,
        command: Sequence[str] = ("-m", "tests.workers.counting"),
    ) -> None:
        self.processes: dict[int, Process] = {}
        self.killed_s: dict[int, float] = {}
        self._command = command
        self._environment = environment
        self._logs = logs
        self._started = 0

    async def start(self) -> None:
        self._started += 1
        with self._log(self._started).open("wb") as output:
            self.processes[self._started] = await asyncio.create_subprocess_exec(
                *(sys.executable, *self._command),
                cwd=ROOT,
                env=self._environment,
                stdout=output,
                stderr=output,
            )

    async def kill(self, worker: int) -> None:
        process = self.processes.pop(worker)
        self.killed_s[worker] = time.time()
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def at_work(self) -> None:
        """Returns once all workers are, as they say."""
        async with asyncio.timeout(START_TIMEOUT_S):
            while not all(b" works on " in self._log(each).read_bytes() for each in self.processes):  # noqa: ASYNC110
                await asyncio.sleep(LOOK_EVERY_S)

    def lines(self) -> list[Line]:
        """What the workers said, line by line and in order; without what has no time before it."""
        return sorted(
            Line(float(at_s), int(path.stem), text)
            for path in self._logs.glob("*.log")
            for at_s, text in LINE.findall(path.read_text())
        )

    def commits(self) -> dict[str, list[Commit]]:
        """What the workers say they committed, by lease."""
        found: dict[str, list[Commit]] = {}
        for path in self._logs.glob("*.log"):
            for key, epoch, token in COMMIT.findall(path.read_text()):
                found.setdefault(key, []).append((int(epoch), token))
        return found

    def _log(self, worker: int) -> Path:
        return self._logs / f"{worker}.log"


@asynccontextmanager
async def mustered(fleet: Fleet) -> AsyncIterator[Fleet]:
    """The fleet; what is left of it in the end is killed."""
    try:
        yield fleet
    finally:
        for worker in list(fleet.processes):
            await fleet.kill(worker)


async def decimate(
    fleet: Fleet, chance: random.Random, *, kills: int, then: Callable[[int], object] = lambda kill: None
) -> None:
    """Starts the workers, and then kills one and starts another, again and again, and tells `then` the number
    of each kill. There are always as many workers: where one takes long to start, the next kill waits for it.
    """
    for _ in range(WORKERS):
        await fleet.start()
    for kill in range(kills):
        await asyncio.gather(asyncio.sleep(KILL_EVERY_S), fleet.at_work())
        await fleet.kill(chance.choice(list(fleet.processes)))
        await fleet.start()
        then(kill)
