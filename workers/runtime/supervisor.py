"""Keeps long-running coroutines alive: one that fails is started again, and said."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType

from workers.runtime.backoff import backoff_s

FIRST_RESTART_S = 0.1
MOST_RESTART_S = 10.0

log = logging.getLogger(__name__)


class Supervisor:
    """Owns tasks, each restarted with backoff when it fails. Leaving the context cancels them.

    A coroutine that returns is done and not started again.
    """

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> "Supervisor":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self._tasks):
            await self.stop(name)

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Runs `run()` under `name`, which must not be running already."""
        if name in self._tasks:
            raise ValueError(f"{name} is running already")
        self._tasks[name] = asyncio.create_task(self._keep(name, run), name=name)

    async def stop(self, name: str) -> None:
        """Cancels the task and waits until it has ended."""
        task = self._tasks.pop(name)
        task.cancel()
        await asyncio.wait([task])

    async def _keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        waits = backoff_s(first_s=FIRST_RESTART_S, most_s=MOST_RESTART_S)
        while True:
            try:
                return await run()
            except Exception:
                wait_s = next(waits)
                log.exception("%s failed; it starts again in %.1f s", name, wait_s)
            await asyncio.sleep(wait_s)
