"""Tasks that never outlive the block that needs them."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

Result = TypeVar("Result")


@asynccontextmanager
async def alongside(work: Coroutine[Any, Any, Result]) -> AsyncIterator["asyncio.Task[Result]"]:
    """Runs `work` beside the block. The block's end waits for it, and raises what it raised.

    A block that is left by an error cancels it. Unlike a TaskGroup this adds no ExceptionGroup.
    """
    task = asyncio.create_task(work)
    try:
        yield task
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
