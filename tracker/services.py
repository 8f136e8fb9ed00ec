"""What a tracker task is made of, put together once and taken apart in reverse."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from secrets import token_bytes, token_hex
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from sanic import Request

from schemas.errors import UnavailableError
from schemas.programs import Versions
from tracker import tracking
from tracker.catalog import Catalog
from tracker.changes import Changes
from tracker.core_data import DynamoDBLevel, Level, RedisLevel
from tracker.events import EventMaker
from tracker.intake import Intake
from tracker.limits import Limits
from tracker.link import Link
from tracker.live.follower import Follower
from tracker.live.stream import Live
from tracker.memory import Memory
from tracker.outcomes import CountedTracking
from tracker.programs import Programs
from tracker.pulse import Pulse
from tracker.puts import direct
from tracker.reports import Health, Reports
from tracker.sdk import lean_session
from tracker.settings import TrackerSettings
from tracker.signatures import Signatures
from tracker.stored import EventItems, StoredEvents
from tracker.stored_packs import EventPacks
from tracker.totals import TotalsReader
from tracker.tracking import Tracking
from tracker.updates import Updates
from tracker.user_agents import UserAgents
from tracker.visitors import VisitorHashes
from workers.runtime.backoff import backoff_s
from workers.runtime.supervisor import Supervisor

AWS_SERVICES = ("kinesis", "dynamodb")
NO_PROGRAM = "-"
"""Asked for where the answer does not matter."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Services:
    """What the routes use."""

    settings: TrackerSettings
    intake: Intake
    programs: Programs
    tracking: CountedTracking
    catalog: Catalog
    totals: TotalsReader
    stored: StoredEvents
    changes: Changes
    signatures: Signatures
    pulse: Pulse
    live: Live


@asynccontextmanager
async def open_services(settings: TrackerSettings) -> AsyncIterator[Services]:
    """Connects and starts a task's actors; leaving drains the intake first, then stops the rest.

    Has asked each service once by then, for what a process asks first takes long. Needs nothing to be
    up: what is down is tried again, and answered as unavailable meanwhile.
    """
    async with AsyncExitStack() as stack:
        session = lean_session(AWS_SERVICES)
        kinesis = await stack.enter_async_context(_client(session, "kinesis", settings))
        timeout_s = settings.put_timeout_ms / 1000
        puts = await stack.enter_async_context(direct(kinesis, session, timeout_s=timeout_s))
        dynamodb = await stack.enter_async_context(_client(session, "dynamodb", settings))
        redis = await stack.enter_async_context(_redis(settings))
        timeout_ms = settings.core_data_timeout_ms
        cache = RedisLevel(redis, channel=settings.redis_channel, timeout_ms=timeout_ms)
        truth = DynamoDBLevel(dynamodb, table=settings.programs_table, timeout_ms=timeout_ms)
        programs = Programs(cache, truth, settings, clock_ms)
        stack.push_async_callback(programs.close)
        supervisor = await stack.enter_async_context(Supervisor(backoff=restart_waits_s))
        intake = Intake(puts, settings, supervisor)
        stack.push_async_callback(intake.drain)
        await _warm_up(intake, cache, truth, timeout_ms=settings.put_timeout_ms)
        supervisor.start("intake", intake.run)
        memory = Memory(lambda: intake.buffered_bytes, limit_bytes=settings.buffer_max_bytes)
        supervisor.start("memory", memory.run)
        task = token_hex(4)
        reports = Reports(redis, partial(_health, programs, intake), settings, task=task)
        supervisor.start("reports", reports.run)
        supervisor.start("link", Link(redis, programs, settings, applied=reports.applied).run)
        catalog = Catalog(dynamodb, table=settings.programs_table, timeout_ms=timeout_ms)
        totals = TotalsReader(redis, dynamodb, table=settings.totals_table, timeout_ms=timeout_ms)
        live = _live(redis, catalog, totals, settings, task=task)
        supervisor.start("live", live.run)
        pulse = Pulse()
        supervisor.start("pulse", pulse.run)
        updates = Updates(kinesis, stream=settings.update_stream, timeout_ms=settings.ack_timeout_ms)
        yield Services(
            settings=settings,
            intake=intake,
            programs=programs,
            tracking=make_tracking(programs, intake, settings, clock_ms=clock_ms),
            catalog=catalog,
            totals=totals,
            stored=_stored(dynamodb, settings, clock_ms),
            changes=Changes(programs, updates, Versions(), timeout_ms=settings.apply_timeout_ms),
            signatures=Signatures(settings.secret, window_s=settings.postback_window_s, clock_ms=clock_ms),
            pulse=pulse,
            live=live,
        )


def _stored(dynamodb: Any, settings: TrackerSettings, clock_ms: Callable[[], int]) -> StoredEvents:
    """As `persist` stores them."""
    table, timeout_ms = settings.events_table, settings.stored_timeout_ms
    items = EventItems(dynamodb, table=table, timeout_ms=timeout_ms, clock_ms=clock_ms)
    if settings.event_store == "items":
        return items
    return EventPacks(dynamodb, items, table=table, timeout_ms=timeout_ms, clock_ms=clock_ms)


async def _warm_up(intake: Intake, *levels: Level, timeout_ms: int) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_ms / 1000), asyncio.TaskGroup() as group:
            group.create_task(_try(intake.refresh()))
            for level in levels:
                group.create_task(_try(level.read(NO_PROGRAM)))


async def _try(call: Coroutine[Any, Any, object]) -> None:
    try:
        await call
    except UnavailableError as error:
        log.warning("not there yet: %s", error)


def make_tracking(
    programs: tracking.Programs,
    intake: tracking.Intake,
    settings: TrackerSettings,
    *,
    clock_ms: Callable[[], int],
) -> CountedTracking:
    """The way that every event takes, with the limits and the secret of `settings`."""
    secret = settings.secret.encode()
    if not secret:
        log.warning("TRACKER_SECRET is not set: visitors' hashes are this task's alone, until it stops")
        secret = token_bytes()
    limits = Limits(
        address_per_s=settings.rate_per_address_per_s,
        addresses_max=settings.limited_addresses_max,
        programs_max=settings.programs_max,
        clock_ms=clock_ms,
    )
    maker = EventMaker(UserAgents(remembered=settings.user_agents_max), VisitorHashes(secret))
    return CountedTracking(Tracking(programs, intake, limits, maker, clock_ms=clock_ms))


def _live(
    redis: Redis, catalog: Catalog, totals: TotalsReader, settings: TrackerSettings, *, task: str
) -> Live:
    follow = partial(Follower, redis, catalog, totals, settings, task=task, clock_ms=clock_ms)
    return Live(follow, settings, clock_ms)


def _health(programs: Programs, intake: Intake) -> Health:
    return Health(
        staleness_ms=programs.staleness_ms,
        buffered_bytes=intake.buffered_bytes,
        acknowledged=int(intake.frames.events.sum),
    )


def restart_waits_s() -> Iterator[float]:
    """Short: while the link is down, every read of core data goes to DynamoDB."""
    return backoff_s(first_s=0.05, most_s=1.0)


def services_of(request: Request) -> Services:
    """The services of the task that answers `request`."""
    services: Services = request.app.ctx.services
    return services


def clock_ms() -> int:
    """The wall clock in epoch milliseconds."""
    return time.time_ns() // 1_000_000


@asynccontextmanager
async def _client(session: AioSession, service: str, settings: TrackerSettings) -> AsyncIterator[Any]:
    """An AWS client that tries once: who calls it decides about trying again."""
    timeout_s = settings.put_timeout_ms / 1000
    config = AioConfig(
        region_name=settings.region,
        connect_timeout=timeout_s,
        read_timeout=timeout_s,
        max_pool_connections=64,
        retries={"total_max_attempts": 1},
    )
    async with session.create_client(service, config=config) as client:
        yield client


@asynccontextmanager
async def _redis(settings: TrackerSettings) -> AsyncIterator[Redis]:
    """A Redis client that never hides a lost connection behind a retry of its own."""
    redis = Redis.from_url(
        settings.redis_url,
        retry=Retry(NoBackoff(), 0),
        socket_connect_timeout=settings.core_data_timeout_ms / 1000,
    )
    async with redis:
        yield redis
