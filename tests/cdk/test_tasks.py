import asyncio

import pytest

from cdk.local.tasks import alongside


async def test_the_end_of_the_block_waits_for_the_work() -> None:
    go = asyncio.Event()

    async def work() -> int:
        await go.wait()
        return 7

    async with alongside(work()) as task:
        go.set()

    assert task.result() == 7


async def test_what_the_work_raises_is_raised_as_it_is() -> None:
    async def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        async with alongside(work()):
            pass


async def test_a_block_left_by_an_error_ends_the_work() -> None:
    tasks: list[asyncio.Task[None]] = []

    async def work() -> None:
        await asyncio.Event().wait()

    with pytest.raises(KeyError):
        async with alongside(work()) as task:
            tasks.append(task)
            raise KeyError

    assert tasks[0].cancelled()
