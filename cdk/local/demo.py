"""A run that ends by itself: load, resends and changes over a real stack, then the ledger."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import httpx
import msgspec
from botocore.exceptions import BotoCoreError, ClientError
from redis.exceptions import RedisError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cdk.local.audit import Audit, audit
from cdk.local.console import Say
from cdk.local.errors import DemoError
from cdk.local.freshness import Renamer, Times, read_program
from cdk.local.load import Client, Sample, make_deliveries, make_samples
from cdk.local.report import Findings, Loaded, print_report
from cdk.local.services import redis_client
from cdk.local.settings import LocalSettings
from cdk.local.stack import running_stack
from cdk.local.stack_file import StackFile, read_stack_file
from cdk.local.stored import Stored
from cdk.local.tasks import alongside
from schemas.programs import PublicProgram

Show = Callable[[int, int], None]
"""Takes how many events are acknowledged, and how many are counted."""
HTTP_TIMEOUT_S = 20.0
LONE_EVENTS = 5
RESENT = 1_000
MARKERS = 32
CHANGES = 10
STORED_POLL_S = 0.2
STALL_S = 30.0
"""Without one more event counted in this time, waiting has no use: the ledger tells what is missing."""


async def demo(settings: LocalSettings, *, run_dir: Path, given: Mapping[str, str], say: Say) -> int:
    """Uses the stack that runs in `run_dir`, else starts one for itself on free ports.

    Returns 0 when the ledger balances, else 1. Raises LocalError where it cannot be carried through.
    """
    async with _stack(settings, run_dir=run_dir, given=given, say=say) as stack:
        findings = await _show(stack, settings, say)
    print_report(findings)
    return 0 if findings.audit.balanced else 1


@asynccontextmanager
async def _stack(
    settings: LocalSettings, *, run_dir: Path, given: Mapping[str, str], say: Say
) -> AsyncIterator[StackFile]:
    running = read_stack_file(run_dir)
    if running is not None:
        say(f"Using the stack that runs at {running.trackers[0]}")
        yield running
        return
    say("Starting a stack for the demo ...")
    own = msgspec.structs.replace(settings, port=0, keep=False)
    async with running_stack(own, run_dir=run_dir / "demo", given=given, say=say) as started:
        yield started


async def _show(stack: StackFile, settings: LocalSettings, say: Say) -> Findings:
    try:
        with closing(Stored(stack)) as stored:
            async with _client(settings) as http:
                return await Demo(stack, http, stored, say).run(settings.demo_events, lose=settings.demo_lose)
    except (httpx.HTTPError, BotoCoreError, ClientError, RedisError, TimeoutError) as error:
        raise DemoError(f"The demo was cut off: {error!r}") from error


def _client(settings: LocalSettings) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {settings.admin_token}"} if settings.admin_token else {}
    return httpx.AsyncClient(headers=headers, timeout=HTTP_TIMEOUT_S, trust_env=False, verify=False)


class Demo:
    """The steps of the demo over one stack, in their order."""

    def __init__(self, stack: StackFile, http: httpx.AsyncClient, stored: Stored, say: Say) -> None:
        self._stack = stack
        self._http = http
        self._stored = stored
        self._say = say
        self._client = Client(http, stack.trackers)

    async def run(self, number: int, *, lose: int) -> Findings:
        programs = await self._fill()
        self._before = set(await self._stored.entries())
        checksums = {program.program_id: program.checksum for program in programs}
        samples = make_samples(checksums, number + MARKERS)
        lone_ms = [await self._time_alone(sample) for sample in samples[:LONE_EVENTS]]
        loaded = await self._load(samples[LONE_EVENTS:number])
        await self._resend(samples[:number], markers=samples[number:])
        changes = await self._rename(programs[0])
        for sample in samples[:lose]:
            await self._stored.remove(sample.entry)
        return Findings(
            audit=await self._audit(),
            loaded=loaded,
            lone_ms=lone_ms,
            single_ms=self._client.single_ms,
            batch_ms=self._client.batch_ms,
            changes=changes,
        )

    async def _fill(self) -> list[PublicProgram]:
        response = await self._http.get(f"{self._stack.trackers[0]}/cache/fill")
        if response.status_code != httpx.codes.OK:
            raise DemoError(f"/cache/fill answered {response.status_code}: {response.text[:200]}")
        filled = [program["programId"] for program in response.json()["programs"]]
        return [await self._program(program_id) for program_id in filled]

    async def _program(self, program_id: str) -> PublicProgram:
        response = await self._http.get(f"{self._stack.trackers[0]}/programs/{program_id}")
        return read_program(response.raise_for_status())

    async def _time_alone(self, sample: Sample) -> float:
        """Milliseconds from an event's request to its item in the table."""
        started_s = time.perf_counter()
        await self._client.send_all([[sample]])
        await asyncio.wait_for(self._stored.until_held(sample.entry), STALL_S)
        return (time.perf_counter() - started_s) * 1000

    async def _load(self, samples: Sequence[Sample]) -> Loaded:
        started_s = time.perf_counter()
        with _bars(len(samples) + LONE_EVENTS) as show:
            async with alongside(self._client.send_all(make_deliveries(samples))) as sending:
                stored_s = await self._until_counted(sending, show)
        sent_s = self._client.last_acknowledged_s
        return Loaded(events=len(samples), took_s=sent_s - started_s, stored_after_s=stored_s - sent_s)

    async def _resend(self, samples: Sequence[Sample], *, markers: Sequence[Sample]) -> None:
        """A shard keeps its order: once events sent after the resent ones are counted, those are done."""
        again = random.sample(samples, min(RESENT, len(samples)))
        self._say(f"Sending {len(again)} of them again ...")
        await self._client.send_all(make_deliveries(again))
        async with alongside(self._client.send_all([[marker] for marker in markers])) as sending:
            await self._until_counted(sending, lambda sent, stored: None)

    async def _until_counted(self, sending: asyncio.Task[None], show: Show) -> float:
        """Returns the time when all that was acknowledged is counted, or when waiting has no more use."""
        stored, since_s = -1, 0.0
        while True:
            done, acknowledged, now_s = sending.done(), len(self._client.acknowledged), time.perf_counter()
            before, stored = stored, await self._count()
            show(acknowledged, stored)
            if not done or stored != before:
                since_s = now_s
            if done and (stored >= acknowledged or now_s - since_s > STALL_S):
                return time.perf_counter()
            await asyncio.sleep(STORED_POLL_S)

    async def _count(self) -> int:
        totals = await self._stored.totals()
        return sum(each.stored for each in totals.values()) - len(self._before)

    async def _rename(self, program: PublicProgram) -> list[Times]:
        """Ends with the name that it began with."""
        self._say(f"Renaming program {program.program_id} {CHANGES} times ...")
        names = [f"{program.name} ({turn})" for turn in range(1, CHANGES)] + [program.name]
        async with redis_client(self._stack.redis_url) as redis, redis.pubsub() as messages:
            await messages.subscribe(self._stack.redis_channel)
            renamer = Renamer(self._http, messages, self._stack.trackers)
            times = [await renamer.rename(program, name) for name in names]
        return [each for one in times for each in one]

    async def _audit(self) -> Audit:
        return audit(
            acknowledged=self._client.acknowledged,
            stored=await self._stored.entries(),
            totals=await self._stored.totals(),
            expected_extra=self._before | self._client.unanswered,
        )


@contextmanager
def _bars(number: int) -> Iterator[Show]:
    columns = (TextColumn("{task.description:20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as bars:
        sent, counted = (bars.add_task(what, total=number) for what in ("acknowledged", "stored and counted"))

        def show(acknowledged: int, stored: int) -> None:
            bars.update(sent, completed=acknowledged)
            bars.update(counted, completed=stored)

        yield show
