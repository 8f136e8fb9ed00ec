"""Keeps long-running coroutines alive: one that fails is started again, and said."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from types import TracebackType

from schemas.errors import UnavailableError
from workers.runtime.backoff import backoff_s

FIRST_RESTART_S = 0.1
MOST_RESTART_S = 10.0
STEADY_S = 60.0
"""A run that lasted this long was well: what ends it is a new failure, with the shortest wait."""

log = logging.getLogger(__name__)


def restart_waits_s() -> Iterator[float]:
    return backoff_s(first_s=FIRST_RESTART_S, most_s=MOST_RESTART_S)


class Supervisor:
    """Owns tasks, each restarted with backoff when it fails. Leaving the context cancels them.

    A coroutine that returns is done and not started again. UnavailableError, the doing of a
    dependency, is said without a traceback. One event loop.
    """

    def __init__(
        self,
        *,
        backoff: Callable[[], Iterator[float]] = restart_waits_s,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._backoff = backoff
        self._clock_s = clock_s
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> "Supervisor":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in reversed(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Runs `run()` under `name`, which must not be running already."""
        if self.is_running(name):
            raise ValueError(f"{name} is running already")
        self._tasks[name] = asyncio.create_task(self._keep(name, run), name=name)

    def is_running(self, name: str) -> bool:
        """Whether `name` was started and has not ended; waiting to start again counts."""
        task = self._tasks.get(name)
        return task is not None and not task.done()

    async def ended(self, name: str) -> None:
        """Returns once the task has ended by itself, or was stopped."""
        if self.is_running(name):
            await asyncio.wait([self._tasks[name]])

    async def stop(self, name: str) -> None:
        """Cancels the task, if it has not ended by itself, and waits until it has ended."""
        if task := self._tasks.pop(name, None):
            task.cancel()
            await asyncio.wait([task])

    async def _keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        waits = self._backoff()
        started_s = self._clock_s()
        while (error := await _failure(run)) is not None:
            trace = None if isinstance(error, UnavailableError) else error
            reason = str(error) or type(error).__name__
            if _is_cancelled():
                log.error("%s failed while stopping: %s", name, reason, exc_info=trace)
                return
            if self._clock_s() - started_s >= STEADY_S:
                waits = self._backoff()
            wait_s = next(waits)
            log.error("%s failed: %s; it starts again in %.1f s", name, reason, wait_s, exc_info=trace)
            await asyncio.sleep(wait_s)
            del error, trace  # a traceback holds all that the failed run held
            started_s = self._clock_s()


async def _failure(run: Callable[[], Awaitable[None]]) -> BaseException | None:
    """What `run` raised, None if it returned. A cancelled future it awaited is a failure too."""
    try:
        await run()
    except asyncio.CancelledError as error:
        if _is_cancelled():
            raise
        return error
    except Exception as error:
        return error
    return None


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
