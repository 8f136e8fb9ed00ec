"""The command `worker`: finds the agents, gives them what they need, and runs them."""

import asyncio
import logging
import pkgutil
import runpy
import socket
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from importlib import import_module
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis

import workers.agents
from schemas.errors import AgentError, SettingsError
from schemas.updates import Update, encode_update
from workers.agents.app import agents as registry
from workers.agents.app import touches
from workers.health import Health
from workers.outlets import Matches, MatchesOutlet, MinutesOutlet, lines_outlet, redis_client
from workers.runtime.agents import Agents
from workers.runtime.clients import aws_client
from workers.runtime.clock import WallClock
from workers.runtime.health import WELL, answering, asked
from workers.runtime.progress import Progress
from workers.runtime.puts import Entry, Puts
from workers.runtime.rekey import keyed_entry
from workers.runtime.reports import reporting
from workers.runtime.scrape import scraped
from workers.runtime.shard import Services
from workers.runtime.sink import Outlet, StreamOutlet
from workers.runtime.source import Turns
from workers.runtime.supervisor import Supervisor
from workers.runtime.worker import Worker
from workers.settings import WorkerSettings

STATE_ATTEMPTS = 3

log = logging.getLogger("workers")


def found(path: str | None = None) -> Agents:
    """Every agent that is a module of `workers.agents`; given a file, those that it registers instead.

    Raises SettingsError for a file that cannot be loaded.
    """
    if path is not None:
        return _registered_by(path)
    for module in pkgutil.iter_modules(workers.agents.__path__):
        import_module(f"{workers.agents.__name__}.{module.name}")
    return registry


def chosen(agents: Agents, names: Sequence[str]) -> Agents:
    """Those of these names, or all where none is named. Raises SettingsError for a name without agent."""
    some = Agents()
    for name in names or [*agents.agents, *agents.timers]:
        if name in agents.agents:
            some.agents[name] = agents.agents[name]
        elif name in agents.timers:
            some.timers[name] = agents.timers[name]
        else:
            raise SettingsError(f"no agent {name}: there are {', '.join(agents.agents) or 'none'}")
    return some


async def work(settings: WorkerSettings, agents: Agents, *, stop: asyncio.Event, burst: bool = False) -> int:
    """Runs the agents until `stop`; in a burst, until they have caught up."""
    async with AsyncExitStack() as stack:
        kinesis, dynamodb, s3 = [
            await stack.enter_async_context(aws_client(service, region=settings.region, attempts=attempts))
            for service, attempts in (("kinesis", 1), ("dynamodb", STATE_ATTEMPTS), ("s3", 1))
        ]
        redis = await stack.enter_async_context(redis_client(settings.redis_url))
        progress = Progress()
        services = Services(
            kinesis,
            dynamodb,
            s3,
            WallClock(),
            Turns(),
            outlets(settings, Puts(kinesis), dynamodb, redis),
            settings,
            progress,
        )
        at = settings.metrics_host, settings.metrics_port
        health = Health(redis, s3, progress, settings, services.clock)
        await stack.enter_async_context(scraped(*at, health.readings))
        await stack.enter_async_context(reporting(health.readings, settings, service="workers"))
        supervisor = await stack.enter_async_context(Supervisor())
        supervisor.start("lags", health.report)
        supervisor.start("failures", health.count)
        name = f"{socket.gethostname()}-{uuid4()}"
        worker = Worker(
            list(agents.agents.values()),
            list(agents.timers.values()),
            services,
            supervisor,
            name=name,
            streams={
                "events": settings.event_stream,
                "updates": settings.update_stream,
                "touches": settings.touch_stream,
            },
        )
        await stack.enter_async_context(answering(settings.health_port, worker.condition))
        worker.start()
        log.info("%s works on %s", name, ", ".join(agents.agents) or "no agent")
        await _first(stop, worker.caught_up) if burst else await stop.wait()
        await worker.stop()
    log.info("%s has stopped", name)
    return 0


def _registered_by(path: str) -> Agents:
    before = {*registry.agents, *registry.timers}
    try:
        runpy.run_path(path)
    except (OSError, SyntaxError, ImportError, AgentError) as error:
        raise SettingsError(f"{path} holds no agents that can be run: {error}") from error
    names = [name for name in (*registry.agents, *registry.timers) if name not in before]
    if not names:
        raise SettingsError(f"{path} holds no agents: none is registered with workers.agents.app.agents")
    return chosen(registry, names)


async def check(settings: WorkerSettings) -> int:
    """Returns 0 where the worker of this machine is well, else 1, and says why."""
    if not settings.health_port:
        raise SettingsError("WORKER_HEALTH_PORT is not set: there is nobody to ask")
    answer = await asked(settings.health_port)
    print(answer)
    return 0 if answer == WELL else 1


def outlets(
    settings: WorkerSettings, puts: Puts, dynamodb: Matches, redis: Redis
) -> Mapping[str, Outlet[Any]]:
    """What takes the results of each sink, by its name."""
    return {
        "lines": lines_outlet,
        "matched": MatchesOutlet(dynamodb, settings.matches_table),
        "minutes": MinutesOutlet(redis, channel=settings.redis_channel),
        "touches": StreamOutlet(puts, settings.touch_stream, keyed_entry(touches)),
        "updates": StreamOutlet(puts, settings.update_stream, _entry),
    }


def _entry(update: Update) -> Entry:
    return Entry(Data=encode_update(update), PartitionKey=update.key)


async def _first(*events: asyncio.Event) -> None:
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for each in waiting:
        each.cancel()
