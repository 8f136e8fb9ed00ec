"""The processes of a load, and what they say, added up as it comes."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import msgspec
from msgspec import Struct

from tests.load.histogram import Histogram
from tests.load.plan import LoadError, Plan
from tests.load.schedule import requests_of, schedule_of
from tests.load.tally import Tally, added
from tests.load.worker import Report, read_report

ROOT = Path(__file__).resolve().parents[2]
SAMPLE_S = 0.5

Say = Callable[["Progress"], None]


class Moment(Struct, frozen=True, kw_only=True):
    """One sample: what came since the one before it."""

    at_s: float
    acknowledged_per_s: float
    failed_per_s: float
    latency: Histogram


class Progress(Struct, frozen=True, kw_only=True):
    """How far a load is, or how it ended: `moments` in their order, the last is the newest."""

    plan: Plan
    tally: Tally
    moments: list[Moment]

    @property
    def took_s(self) -> float:
        return self.tally.ran_s

    @property
    def rate_per_s(self) -> float:
        """Of acknowledged events."""
        return self.tally.acknowledged / self.took_s if self.took_s else 0.0

    @property
    def busy(self) -> float:
        """The share of a core that each process took: near 1 a load measures itself."""
        return self.tally.busy_s / self.took_s / self.plan.processes if self.took_s else 0.0


class Fleet:
    """Runs a plan's processes; they end with `run`, however that ends."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._reports = [Report(Tally()) for _ in range(plan.processes)]
        self._plans: list[asyncio.StreamWriter] = []
        self._stopped = False
        self._moments: list[Moment] = []
        self._before = Tally()

    def stop(self) -> None:
        """Begins nothing new; what is under way still ends."""
        self._stopped = True
        for plan in self._plans:
            plan.close()

    async def run(self, say: Say) -> Progress:
        """Says how far it is at every sample. Raises LoadError where a process fails."""
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._plan.processes):
                    group.create_task(self._hear(number, say))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        return self._progress()

    def sent(self) -> Iterator[int]:
        """The numbers of all events sent, once it has run."""
        schedule = schedule_of(self._plan)
        for number, report in enumerate(self._reports):
            for request in islice(requests_of(self._plan, number), report.tally.requests):
                yield from schedule.events(request)

    def unacknowledged(self) -> Iterator[int]:
        """Those of them that were given up or refused."""
        for report in self._reports:
            yield from report.unacknowledged or ()

    async def _hear(self, number: int, say: Say) -> None:
        async with _process(number) as process:
            assert process.stdin and process.stdout
            process.stdin.write(msgspec.json.encode(self._plan) + b"\n")
            self._plans.append(process.stdin)
            if self._stopped:
                self.stop()
            while self._reports[number].unacknowledged is None:
                self._reports[number] = await _next_report(process.stdout)
                self._sample(say)

    def _sample(self, say: Say) -> None:
        tally, before = added(report.tally for report in self._reports), self._before
        passed_s = tally.ran_s - before.ran_s
        if passed_s < SAMPLE_S:
            return
        failed = sum(tally.errors.values()) - sum(before.errors.values())
        moment = Moment(
            at_s=tally.ran_s,
            acknowledged_per_s=(tally.acknowledged - before.acknowledged) / passed_s,
            failed_per_s=failed / passed_s,
            latency=tally.latency.since(before.latency),
        )
        self._moments.append(moment)
        self._before = tally
        say(self._progress())

    def _progress(self) -> Progress:
        return Progress(
            plan=self._plan,
            tally=added(report.tally for report in self._reports),
            moments=self._moments,
        )


@asynccontextmanager
async def _process(number: int) -> AsyncIterator[Process]:
    """In a session of its own: a Ctrl-C is for whoever started it to pass on."""
    command = (sys.executable, "-m", "tests.load.worker", str(number))
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdin=PIPE, stdout=PIPE, start_new_session=True
    )
    try:
        yield process
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _next_report(stream: asyncio.StreamReader) -> Report:
    try:
        return await read_report(stream)
    except asyncio.IncompleteReadError as error:
        raise LoadError("A process of the load ended before it was done") from error
