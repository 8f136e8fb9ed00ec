"""`python -m workers`: the stream workers' command line."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from schemas.errors import SettingsError, UnavailableError
from schemas.logs import LogFormat, log_to_stderr
from schemas.settings import load
from workers import working
from workers.failed import LIST_DEFAULT, FailedObjects, line, shown
from workers.hosting.destination import Destination, Nowhere, S3Destination
from workers.hosting.host import Host
from workers.hosting.invocation import Function, import_handler
from workers.leases import LeaseList, table
from workers.packed import PackedEvents
from workers.recount import Recount, described
from workers.replay import Replay
from workers.restore import Streams
from workers.runtime.agents import Agents
from workers.runtime.clients import aws_client
from workers.runtime.clock import WallClock
from workers.runtime.failed import S3
from workers.runtime.positions import DynamoDBPositions
from workers.runtime.progress import Progress
from workers.runtime.puts import Puts
from workers.runtime.reports import reporting
from workers.runtime.scrape import scraped
from workers.runtime.source import AWS_ERRORS
from workers.runtime.supervisor import Supervisor
from workers.settings import (
    HostSettings,
    LeasesSettings,
    RecountSettings,
    ReplaySettings,
    TailSettings,
    WorkerSettings,
)
from workers.tail import tail

POSITION_ATTEMPTS = 3
COMMAND_ATTEMPTS = 5
INVOCATIONS_MAX = 1_000
"""Threads, made as they are needed. asyncio's own few would let slow shards keep others waiting."""

Work = Coroutine[Any, Any, int] | Callable[[], int]
"""A command at work, on an event loop or without; it comes out as the exit status."""

log = logging.getLogger("workers")


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Runs one command. A host runs until SIGTERM or SIGINT.

    Returns 0 once all is done, 1 where something was left undone, 2 for settings that do not do.
    """
    chosen = _parser().parse_args(arguments)
    try:
        work = COMMANDS[chosen.command](chosen, environment)
        return work() if callable(work) else asyncio.run(work)
    except SettingsError as error:
        print(f"workers: {error}", file=sys.stderr)
        return 2
    except (UnavailableError, *AWS_ERRORS) as error:
        print(f"workers: {str(error) or type(error).__name__}", file=sys.stderr)
        return 1


def host_command(chosen: argparse.Namespace, environment: Mapping[str, str]) -> Work:
    settings = load(HostSettings, environment)
    function = Function(chosen.function, import_handler(f"lambdas.{chosen.function}.handler"))
    _log_to_stderr(settings.log_level, settings.log_format)
    return host(function, settings, stream=_stream(chosen.function, settings))


def recount_command(chosen: argparse.Namespace, environment: Mapping[str, str]) -> Work:
    settings = load(RecountSettings, environment)
    _log_to_stderr(settings.log_level)
    return recount(settings, chosen.program)


def replay_command(chosen: argparse.Namespace, environment: Mapping[str, str]) -> Work:
    settings = load(ReplaySettings, environment)
    _log_to_stderr(settings.log_level)
    return replay(settings, prefix=chosen.prefix, dry_run=chosen.dry_run)


def failed_command(chosen: argparse.Namespace, environment: Mapping[str, str]) -> Work:
    settings = load(ReplaySettings, environment)
    _log_to_stderr(settings.log_level)
    match chosen.action:
        case "list":
            return failed_list(settings, prefix=chosen.prefix, limit=chosen.limit)
        case "show":
            return failed_show(settings, prefix=chosen.key)
        case _:
            return replay(settings, prefix=chosen.prefix, dry_run=chosen.dry_run)


def worker_command(chosen: argparse.Namespace, environment: Mapping[str, str]) -> Work:
    settings = load(WorkerSettings, environment)
    if chosen.check:
        return working.check(settings)
    agents = working.chosen(working.found(chosen.path), chosen.agents)
    _log_to_stderr(settings.log_level, settings.log_format)
    return worker(settings, agents, burst=chosen.burst)


def leases_command(chosen: argparse.Namespace, environment: Mapping[str, str]) -> Work:
    return leases(load(LeasesSettings, environment))


def tail_command(chosen: argparse.Namespace, environment: Mapping[str, str]) -> Work:
    settings = load(TailSettings, environment)
    _log_to_stderr("WARNING")
    return partial(tail, settings, chosen.kind, program_id=chosen.program)


COMMANDS = {
    "failed": failed_command,
    "lambda": host_command,
    "leases": leases_command,
    "recount": recount_command,
    "replay": replay_command,
    "tail": tail_command,
    "worker": worker_command,
}


async def worker(settings: WorkerSettings, agents: Agents, *, burst: bool) -> int:
    """Runs `agents` until the process is told to stop, or they have caught up."""
    return await working.work(settings, agents, stop=_stop_signal(), burst=burst)


async def leases(settings: LeasesSettings) -> int:
    """Shows who reads what."""
    async with (
        aws_client("dynamodb", region=settings.region, attempts=COMMAND_ATTEMPTS) as dynamodb,
        aws_client("kinesis", region=settings.region, attempts=COMMAND_ATTEMPTS) as kinesis,
    ):
        print(table(await LeaseList(dynamodb, kinesis, WallClock(), table=settings.leases_table).lines()))
    return 0


async def recount(settings: RecountSettings, program_ids: Sequence[str]) -> int:
    """Puts the totals of these programs right, or of all where none is named."""
    async with (
        aws_client("kinesis", region=settings.region) as kinesis,
        aws_client("dynamodb", region=settings.region, attempts=COMMAND_ATTEMPTS) as dynamodb,
    ):
        recounting = Recount(dynamodb, Puts(kinesis), settings)
        for program_id in program_ids or [each async for each in recounting.programs()]:
            print(described(await recounting.program(program_id)))
    return 0


async def replay(settings: ReplaySettings, *, prefix: str, dry_run: bool) -> int:
    """Puts back what failed. Returns 1 where something is kept."""
    async with (
        aws_client("s3", region=settings.region, attempts=COMMAND_ATTEMPTS) as s3,
        aws_client("kinesis", region=settings.region) as kinesis,
        aws_client("dynamodb", region=settings.region, attempts=COMMAND_ATTEMPTS) as dynamodb,
    ):
        puts = Puts(kinesis)
        streams = Streams(settings.event_stream, settings.update_stream)
        packed = PackedEvents(dynamodb, table=settings.events_table)
        replaying = Replay(s3, puts, Recount(dynamodb, puts, settings), packed, streams=streams)
        work = replaying.preview if dry_run else replaying.run
        replayed, kept = await work(settings.buckets, prefix=prefix)
    print(f"{replayed} objects {'to replay' if dry_run else 'replayed'}, {kept} kept")
    return 1 if kept else 0


async def failed_list(settings: ReplaySettings, *, prefix: str, limit: int) -> int:
    """Says what failed, a line each, and whether there is more."""
    async with aws_client("s3", region=settings.region, attempts=COMMAND_ATTEMPTS) as s3:
        objects, told = FailedObjects(s3), 0
        async for place in objects.places(settings.buckets, prefix):
            if told == limit:
                print(f"there are more: --limit {limit}")
                break
            print(line(place, await objects.read(place)))
            told += 1
    return 0


async def failed_show(settings: ReplaySettings, *, prefix: str) -> int:
    """Shows all that is known of what failed. Returns 1 where nothing of this name did."""
    async with aws_client("s3", region=settings.region, attempts=COMMAND_ATTEMPTS) as s3:
        objects = FailedObjects(s3)
        places = [place async for place in objects.places(settings.buckets, prefix)]
        for place in places:
            print(place)
            print(shown(await objects.read(place), update_stream=settings.update_stream))
    return 0 if places else 1


async def host(function: Function, settings: HostSettings, *, stream: str) -> int:
    """Hosts `function` on `stream` until the process is told to stop."""
    stop, progress = _stop_signal(), Progress()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(INVOCATIONS_MAX))
    async with (
        aws_client("kinesis", region=settings.region) as kinesis,
        aws_client("dynamodb", region=settings.region, attempts=POSITION_ATTEMPTS) as dynamodb,
        aws_client("s3", region=settings.region) as s3,
        scraped(settings.metrics_host, settings.metrics_port, progress.readings),
        reporting(progress.readings, settings, service=function.name),
        Supervisor() as supervisor,
    ):
        positions = DynamoDBPositions(
            dynamodb, table=settings.leases_table, application=function.name, stream=stream
        )
        follower = Host(
            function,
            kinesis,
            positions,
            settings,
            stream=stream,
            destination=_destination(s3, settings.failure_bucket_or_empty),
            progress=progress,
        )
        supervisor.start(function.name, partial(follower.run, supervisor))
        await stop.wait()
        log.info("%s stops", function.name)
    log.info("%s has stopped", function.name)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workers", description="The stream workers.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    hosting = commands.add_parser("lambda", help="host a Lambda function on its stream")
    hosting.add_argument("function", choices=("persist", "refresh"))
    running = commands.add_parser("worker", help="run stream agents, all or those named")
    running.add_argument("agents", nargs="*", metavar="agent")
    running.add_argument("--from", dest="path", metavar="FILE", help="those that this file registers")
    running.add_argument("--burst", action="store_true", help="stop once all is read")
    running.add_argument("--check", action="store_true", help="ask the worker here whether it is well")
    recounting = commands.add_parser("recount", help="put totals right that a given-up batch left wrong")
    recounting.add_argument("--program", action="append", default=[], metavar="ID", help="only this one")
    commands.add_parser("leases", help="show who reads which shard, and how far behind")
    tailing = commands.add_parser("tail", help="print a stream's messages as they arrive")
    tailing.add_argument("kind", choices=("event", "update"))
    tailing.add_argument("--program", metavar="ID", help="only those about this one")
    _add_replay(commands)
    _add_failed(commands.add_parser("failed", help="list, show or replay what failed"))
    return parser


def _add_failed(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")
    listing = actions.add_parser("list", help="a line for each failure")
    listing.add_argument("--prefix", default="", help="only objects whose key begins so")
    listing.add_argument("--limit", type=int, default=LIST_DEFAULT, help="at most so many")
    showing = actions.add_parser("show", help="all that is known of a failure, and what it holds")
    showing.add_argument("key", help="the object's key, or how it begins")
    _add_replay(actions)


def _add_replay(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    replaying = actions.add_parser("replay", help="put what failed back on its stream")
    replaying.add_argument("--prefix", default="", help="only objects whose key begins so")
    replaying.add_argument("--dry-run", action="store_true", help="say what would be done, do nothing")


def _stream(function: str, settings: HostSettings) -> str:
    return settings.event_stream if function == "persist" else settings.update_stream


def _destination(s3: S3, bucket: str) -> Destination:
    return S3Destination(s3, bucket) if bucket else Nowhere()


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _log_to_stderr(level: str, log_format: LogFormat = "text") -> None:
    log_to_stderr("WARNING", log_format)
    for name in ("workers", "lambdas"):
        logging.getLogger(name).setLevel(level)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
