"""One fault from beginning to end: load, break, heal, settle, audit, report."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientSession
from msgspec import Struct, field

from tests.faults.load import Load
from tests.faults.report import Result, load_text
from tests.faults.stack import System

BEFORE_S = 2.0
AFTER_S = 3.0
PROGRAMS = 2
CHECKSUM = "124"
PROBLEMS_SHOWN = 5


class Ordeal(Struct, kw_only=True):
    """What a test is given. Its title and story are its docstring's first line and the rest."""

    system: System
    name: str
    title: str
    story: str
    results: list[Result]
    programs: int = PROGRAMS
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    errors: frozenset[str] = frozenset()
    """The kinds that clients may see, as tests/faults/load.py names them: no fault but of Kinesis or of a
    tracker itself keeps a tracker from answering."""
    expected_failures: set[str] = field(default_factory=set)
    """Places that this test poisoned, as the failed-events store names them: each function and agent that
    reads there sets aside what it finds, under a key that ends so."""

    @property
    def program_ids(self) -> list[str]:
        """Its own, so that its audit is its own."""
        return [f"{self.name}-{number}" for number in range(1, self.programs + 1)]

    @asynccontextmanager
    async def under_load(self, **options: Any) -> AsyncIterator[Load]:
        """Load before, during and after the body, which is the fault; then the audit, which may fail."""
        await self.make_programs()
        before = set(await asyncio.to_thread(self.system.books.failed))
        load = Load(self.system.file.trackers, dict.fromkeys(self.program_ids, CHECKSUM), **options)
        duration_s = 0.0
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(load.run())
                try:
                    await asyncio.sleep(BEFORE_S)
                    load.phase, started_s = "during", time.monotonic()
                    yield load
                    duration_s = time.monotonic() - started_s
                    load.phase = "after"
                    await asyncio.sleep(AFTER_S)
                finally:
                    load.stop()
        except BaseException as error:
            self.problems.append(f"the test itself failed: {_reason(error)}")
            raise
        finally:
            await self._close(load, before, duration_s)
        assert not self.problems, "\n".join(self.problems)

    async def make_programs(self) -> None:
        async with ClientSession() as session:
            for program_id in self.program_ids:
                await put_program(session, self.system.file.trackers[0], program_id, name=program_id)

    async def _close(self, load: Load, failed_before: set[str], duration_s: float) -> None:
        found, stored = await self.system.books.settle(load, self.system.witness, self.program_ids)
        failed = set(await asyncio.to_thread(self.system.books.failed)) - failed_before
        self.problems += found.problems()[:PROBLEMS_SHOWN]
        self.problems += [
            f"set aside, and was no poison: {key}"
            for key in failed
            if not key.endswith(tuple(self.expected_failures))
        ]
        self.problems += [
            f"{count} requests were answered {kind}"
            for kind, count in load.errors().items()
            if kind not in self.errors
        ]
        if load.unhelpful:
            self.problems.append(f"{load.unhelpful} answers of 503 had no Retry-After")
        sent = {entry.message_id for entry in load.sent}
        self.results.append(
            Result(
                fault=self.title,
                story=self.story,
                duration_s=duration_s,
                load=load_text(load),
                acknowledged=len(load.acknowledged),
                stored=stored,
                duplicates=self.system.witness.duplicates(sent),
                failed=len(load.given_up),
                errors=dict(load.errors()),
                longest_outage_s=load.longest_outage_s,
                p99_ms=(load.p99_ms("before"), load.p99_ms("during"), load.p99_ms("after")),
                problems=self.problems,
                notes=self.notes,
            )
        )


async def put_program(
    session: ClientSession, tracker: str, program_id: str, *, name: str, wait: bool = True
) -> int:
    """Writes a program, by default until it is applied. Returns the status of the answer."""
    body = {"name": name, "customerId": 1, "customerName": "customer", "checksum": CHECKSUM}
    query = "?wait=true" if wait else ""
    async with session.put(f"{tracker}/programs/{program_id}{query}", json=body) as response:
        assert response.status in (200, 202, 503), await response.text()
        return response.status


def _reason(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return (str(error) or type(error).__name__).splitlines()[0]
