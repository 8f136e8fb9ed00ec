"""Worker processes that are killed at random, again and again."""

import asyncio
import random
import re
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORKERS = 3
KILL_EVERY_S = 2.0
COMMIT = re.compile(r"(\S+): commit (\d+) under (\S+)")


class Fleet:
    """Worker processes, each writing what it says to a file of its own."""

    def __init__(
        self,
        environment: Mapping[str, str],
        logs: Path,
        command: Sequence[str] = ("-m", "tests.workers.counting"),
    ) -> None:
        self.processes: list[Process] = []
        self._command = command
        self._environment = environment
        self._logs = logs
        self._started = 0

    async def start(self) -> None:
        self._started += 1
        with (self._logs / f"{self._started}.log").open("wb") as output:
            self.processes.append(
                await asyncio.create_subprocess_exec(
                    *(sys.executable, *self._command),
                    cwd=ROOT,
                    env=self._environment,
                    stdout=output,
                    stderr=output,
                )
            )

    async def kill(self, process: Process) -> None:
        self.processes.remove(process)
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    def commits(self) -> dict[str, list[tuple[int, str]]]:
        """What the workers say they committed: epoch and token, by lease, in order of the epochs."""
        found: dict[str, list[tuple[int, str]]] = {}
        for path in self._logs.iterdir():
            for key, epoch, token in COMMIT.findall(path.read_text()):
                found.setdefault(key, []).append((int(epoch), token))
        return {key: sorted(commits) for key, commits in found.items()}


@asynccontextmanager
async def mustered(fleet: Fleet) -> AsyncIterator[Fleet]:
    """The fleet; what is left of it in the end is killed."""
    try:
        yield fleet
    finally:
        for process in list(fleet.processes):
            await fleet.kill(process)


async def decimate(fleet: Fleet, chance: random.Random, *, kills: int) -> None:
    """Starts the workers, and then kills one and starts another, again and again."""
    for _ in range(WORKERS):
        await fleet.start()
    for _ in range(kills):
        await asyncio.sleep(KILL_EVERY_S)
        await fleet.kill(chance.choice(fleet.processes))
        await fleet.start()
