import asyncio
import gc
import logging
import weakref
from collections.abc import Iterator
from itertools import repeat

import pytest

from schemas.errors import UnavailableError
from tests.workers.ports import TIMEOUT_S
from workers.runtime.supervisor import STEADY_S, Supervisor


class Runs:
    """A coroutine function whose runs end as told, the last of them never."""

    def __init__(self, *ends: BaseException) -> None:
        self.count = 0
        self.last = asyncio.Event()
        self.cancelled = False
        self._ends = list(ends)

    async def __call__(self) -> None:
        self.count += 1
        if self._ends:
            raise self._ends.pop(0)
        self.last.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


class Restarts:
    """A backoff without waits that counts how often it began anew."""

    def __init__(self) -> None:
        self.begun = 0

    def __call__(self) -> Iterator[float]:
        self.begun += 1
        return repeat(0.0)


async def until(event: asyncio.Event) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        await event.wait()


async def test_a_failed_run_starts_again_and_is_said(caplog: pytest.LogCaptureFixture) -> None:
    runs = Runs(KeyError("a"), ValueError("b"))

    async with Supervisor(backoff=Restarts()) as supervisor:
        supervisor.start("runs", runs)
        await until(runs.last)

    assert runs.count == 3
    assert [entry.getMessage() for entry in caplog.records] == [
        "runs failed: 'a'; it starts again in 0.0 s",
        "runs failed: b; it starts again in 0.0 s",
    ]
    assert all(entry.exc_info for entry in caplog.records)


async def test_an_unavailable_dependency_is_said_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    runs = Runs(UnavailableError("Kinesis is down"))

    async with Supervisor(backoff=Restarts()) as supervisor:
        supervisor.start("runs", runs)
        await until(runs.last)

    assert [(entry.getMessage(), entry.exc_info) for entry in caplog.records] == [
        ("runs failed: Kinesis is down; it starts again in 0.0 s", None)
    ]


async def test_nothing_of_a_failed_run_is_kept_while_the_next_one_runs() -> None:
    failure = UnavailableError("Kinesis is down")
    kept, runs = weakref.ref(failure), Runs(failure)
    del failure

    async with Supervisor(backoff=Restarts()) as supervisor:
        supervisor.start("runs", runs)
        await until(runs.last)
        gc.collect()

        assert kept() is None


async def test_a_cancelled_future_inside_a_run_is_a_failure_like_any_other() -> None:
    runs = Runs(asyncio.CancelledError())

    async with Supervisor(backoff=Restarts()) as supervisor:
        supervisor.start("runs", runs)
        await until(runs.last)

    assert runs.count == 2


async def test_a_failure_after_a_steady_run_waits_the_shortest() -> None:
    restarts = Restarts()
    now_s = iter([0.0, 1.0, 1.0, STEADY_S + 1.0, STEADY_S + 1.0])
    runs = Runs(ValueError("soon"), ValueError("late"))

    async with Supervisor(backoff=restarts, clock_s=lambda: next(now_s)) as supervisor:
        supervisor.start("runs", runs)
        await until(runs.last)

    assert restarts.begun == 2


async def test_failures_in_a_row_wait_longer_each() -> None:
    restarts = Restarts()
    runs = Runs(ValueError("a"), ValueError("b"), ValueError("c"))

    async with Supervisor(backoff=restarts, clock_s=lambda: 0.0) as supervisor:
        supervisor.start("runs", runs)
        await until(runs.last)

    assert restarts.begun == 1


async def test_a_run_that_returns_is_done_and_may_be_started_anew() -> None:
    returned = asyncio.Event()

    async def run() -> None:
        returned.set()

    async with Supervisor() as supervisor:
        for _ in range(2):
            supervisor.start("once", run)
            await until(returned)
            returned.clear()
            await asyncio.sleep(0)
            assert not supervisor.is_running("once")


async def test_a_name_runs_once_at_a_time() -> None:
    runs = Runs()

    async with Supervisor() as supervisor:
        supervisor.start("runs", runs)

        with pytest.raises(ValueError, match="runs is running already"):
            supervisor.start("runs", runs)


async def test_stop_ends_one_and_leaves_the_others() -> None:
    stopped, other = Runs(), Runs()

    async with Supervisor() as supervisor:
        supervisor.start("stopped", stopped)
        supervisor.start("other", other)
        await until(stopped.last)
        await supervisor.stop("stopped")

        assert stopped.cancelled
        assert not supervisor.is_running("stopped")
        assert supervisor.is_running("other")

    assert other.cancelled


async def test_leaving_cancels_all_before_it_waits_for_any() -> None:
    first_ended = asyncio.Event()
    started = asyncio.Event()

    async def waits_for_the_first() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await until(first_ended)

    async def first() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            first_ended.set()

    async with asyncio.timeout(TIMEOUT_S), Supervisor() as supervisor:
        supervisor.start("first", first)
        supervisor.start("second", waits_for_the_first)
        await started.wait()


async def test_a_run_that_fails_while_it_is_stopped_does_not_start_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    started = asyncio.Event()
    count = 0

    async def run() -> None:
        nonlocal count
        count += 1
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise UnavailableError("cannot say goodbye")

    async with asyncio.timeout(TIMEOUT_S), Supervisor() as supervisor:
        supervisor.start("runs", run)
        await started.wait()

    assert count == 1
    assert [entry.getMessage() for entry in caplog.records if entry.levelno >= logging.ERROR] == [
        "runs failed while stopping: cannot say goodbye"
    ]
