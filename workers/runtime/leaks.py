"""Finds what an agent leaves running when it ends: a task that nobody waits for, and nobody hears fail."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakSet

Tasks = WeakSet["asyncio.Task[Any]"]

_started: ContextVar[Tasks | None] = ContextVar("started", default=None)

log = logging.getLogger(__name__)


def note_tasks() -> None:
    """From now on the running loop's tasks are known by the agent that starts them, or its tasks do."""
    asyncio.get_running_loop().set_task_factory(_noted)


@contextmanager
def leaving_nothing(name: str) -> Iterator[None]:
    """What agent `name` has started in the block and not ended by its end is said, and cancelled."""
    started: Tasks = WeakSet()
    try:
        with _noting(started):
            yield
    finally:
        for task in [task for task in started if not task.done()]:
            log.error("%s left a task behind, which is cancelled: %r", name, task)
            task.cancel()


@contextmanager
def not_the_agents() -> Iterator[None]:
    """What is started in the block is the runtime's own."""
    with _noting(None):
        yield


@contextmanager
def _noting(started: Tasks | None) -> Iterator[None]:
    token = _started.set(started)
    try:
        yield
    finally:
        _started.reset(token)


def _noted(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> "asyncio.Task[Any]":
    task = asyncio.Task(work, loop=loop, **options)
    started = _started.get()
    if started is not None:
        started.add(task)
    return task
