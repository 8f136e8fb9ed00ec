"""Starts the parts of a stack in order, starts again what dies, stops in reverse order."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from cdk.local.console import Output, Say
from cdk.local.errors import StartError
from cdk.local.processes import Process, describe

POLL_S = 0.03
FIRST_RESTART_S = 0.2
MOST_RESTART_S = 10.0
HEALTHY_AFTER_S = 10.0


class Part(Struct, frozen=True, kw_only=True):
    """A process to keep alive. `ready` tells, without raising, whether it can do its work."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    directory: Path
    ready: Callable[[], Awaitable[bool]]
    recover: Callable[[], Awaitable[None]] | None = None
    """Run after each restart, to rebuild what died with the process."""
    quiet: bool = False
    """Its log is not for the console."""
    start_timeout_s: float = 30.0
    stop_timeout_s: float = 5.0


class Supervisor:
    """Owns the processes of parts. Use as a context manager: leaving it stops them all."""

    def __init__(self, logs: Path, say: Say, *, most_restart_s: float = MOST_RESTART_S) -> None:
        self._logs = logs
        self._say = say
        self._most_restart_s = most_restart_s
        self._watch: Callable[[dict[str, int]], None] | None = None
        self._groups: list[list[_Keeper]] = []
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> "Supervisor":
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for group in reversed(self._groups):
            await asyncio.gather(*(keeper.stop() for keeper in group))
        await self._tasks.__aexit__(None, None, None)

    @property
    def pids(self) -> dict[str, int]:
        """The process of each part, by name, in the order of their start."""
        return {keeper.part.name: keeper.process.pid for group in self._groups for keeper in group}

    async def start(self, *groups: Sequence[Part]) -> None:
        """Starts `groups` at once, and returns when every part is ready.

        Groups stop last first, each as a whole. Raises StartError where one ended or took too long.
        """
        keepers = [keeper for group in groups for keeper in await self._spawn(group)]
        for keeper in keepers:
            await keeper.until_ready()
        for keeper in keepers:
            keeper.settle()

    def watch(self, see: Callable[[dict[str, int]], None]) -> None:
        """Calls `see` with `pids` now and after every restart."""
        self._watch = see
        self._changed()

    def _changed(self) -> None:
        if self._watch is not None:
            self._watch(self.pids)

    async def _spawn(self, parts: Sequence[Part]) -> "list[_Keeper]":
        group: list[_Keeper] = []
        self._groups.append(group)
        for part in parts:
            keeper = _Keeper(part, self._logs, self._say, self._changed, self._most_restart_s)
            await keeper.start(self._tasks)
            group.append(keeper)
        return group


class _Keeper:
    """Keeps one part alive, from its first start to its stop."""

    process: Process
    _task: asyncio.Task[None]

    def __init__(
        self, part: Part, logs: Path, say: Say, changed: Callable[[], None], most_restart_s: float
    ) -> None:
        self.part = part
        self._output = Output(part.name, logs / f"{part.name}.log", say=say, quiet=part.quiet)
        self._say = say
        self._changed = changed
        self._most_restart_s = most_restart_s
        self._settled = False
        self._stopping = False
        self._status = 0
        self._recovery: asyncio.Task[None] | None = None

    async def start(self, tasks: asyncio.TaskGroup) -> None:
        try:
            await self._spawn()
        except StartError:
            self._output.close()
            raise
        self._tasks = tasks
        self._task = tasks.create_task(self._keep(), name=self.part.name)

    async def until_ready(self) -> None:
        """Raises StartError where the part ends first, or takes too long."""
        deadline_s = time.monotonic() + self.part.start_timeout_s
        while not await self.part.ready():
            if self._task.done():
                raise self._failure()
            if time.monotonic() > deadline_s:
                raise StartError(
                    f"{self.part.name} was not ready after {self.part.start_timeout_s:.0f} s: "
                    f"see {self._output.log}"
                )
            await asyncio.wait({self._task}, timeout=POLL_S)

    def settle(self) -> None:
        """From here on the part is started again when it ends. Raises StartError where it has."""
        if self._task.done():
            raise self._failure()
        self._settled = True

    async def stop(self) -> None:
        """SIGTERM, and after the part's timeout SIGKILL. Returns when the process has ended."""
        self._stopping = True
        self._abandon_recovery()
        if self.process.ended:
            self._task.cancel()
        self.process.terminate()
        await asyncio.wait({self._task}, timeout=self.part.stop_timeout_s)
        if not self._task.done():
            self.process.kill()
            await asyncio.wait({self._task})
        self._output.close()

    async def _keep(self) -> None:
        waits = _waits_s(self._most_restart_s)
        while True:
            started_s = time.monotonic()
            self._status = await self.process.run(self._output.write)
            if self._stopping or not self._settled:
                return
            if time.monotonic() - started_s > HEALTHY_AFTER_S:
                waits = _waits_s(self._most_restart_s)
            await self._restart(waits)

    async def _restart(self, waits: Iterator[float]) -> None:
        died = f"{self.part.name} (process {self.process.pid}) {self._end()}"
        for wait_s in waits:
            self._say(f"{died}; starting it again in {wait_s:.1f} s")
            await asyncio.sleep(wait_s)
            try:
                await self._spawn()
            except StartError as error:
                died = str(error)
            else:
                return self._restarted()

    def _restarted(self) -> None:
        self._changed()
        self._abandon_recovery()
        self._recovery = self._tasks.create_task(self._recover())

    def _abandon_recovery(self) -> None:
        if self._recovery is not None:
            self._recovery.cancel()

    async def _recover(self) -> None:
        try:
            await self.until_ready()
        except StartError as error:
            return self._say(str(error))
        if self.part.recover is not None:
            await self.part.recover()

    async def _spawn(self) -> None:
        try:
            self.process = await Process.start(
                self.part.command, environment=self.part.environment, directory=self.part.directory
            )
        except OSError as error:
            raise StartError(f"{self.part.name} cannot be started: {error}") from error

    def _end(self) -> str:
        told = f" ({self._output.last_line[:200]})" if self._status > 0 and self._output.last_line else ""
        return describe(self._status) + told

    def _failure(self) -> StartError:
        return StartError(f"{self.part.name} {self._end()} before it was ready: see {self._output.log}")


def _waits_s(most_s: float) -> Iterator[float]:
    wait_s = min(FIRST_RESTART_S, most_s)
    while True:
        yield wait_s
        wait_s = min(wait_s * 2, most_s)
