"""`python -m workers`: the stream workers' command line."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from schemas.errors import SettingsError
from schemas.settings import load
from workers.runtime.clients import aws_client
from workers.runtime.destination import S3, Destination, Nowhere, S3Destination
from workers.runtime.host import Host
from workers.runtime.invocation import Function, import_handler
from workers.runtime.positions import DynamoDBPositions
from workers.runtime.supervisor import Supervisor
from workers.settings import HostSettings

POSITION_ATTEMPTS = 3
INVOCATIONS_MAX = 1_000
"""Threads, made as they are needed. asyncio's own few would let slow shards keep others waiting."""

log = logging.getLogger("workers")


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Runs until SIGTERM or SIGINT. Returns 0 after a clean stop, 2 for settings that do not do."""
    chosen = _parser().parse_args(arguments)
    try:
        settings = load(HostSettings, environment)
        function = Function(chosen.function, import_handler(f"lambdas.{chosen.function}.handler"))
    except SettingsError as error:
        print(f"workers: {error}", file=sys.stderr)
        return 2
    _log_to_stderr(settings.log_level)
    asyncio.run(host(function, settings, stream=_stream(chosen.function, settings)))
    return 0


async def host(function: Function, settings: HostSettings, *, stream: str) -> None:
    """Hosts `function` on `stream` until the process is told to stop."""
    stop = _stop_signal()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(INVOCATIONS_MAX))
    async with (
        aws_client("kinesis", region=settings.region) as kinesis,
        aws_client("dynamodb", region=settings.region, attempts=POSITION_ATTEMPTS) as dynamodb,
        aws_client("s3", region=settings.region) as s3,
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
        )
        supervisor.start(function.name, partial(follower.run, supervisor))
        await stop.wait()
        log.info("%s stops", function.name)
    log.info("%s has stopped", function.name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workers", description="The stream workers.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    hosting = commands.add_parser("lambda", help="host a Lambda function on its stream")
    hosting.add_argument("function", choices=("persist", "refresh"))
    return parser


def _stream(function: str, settings: HostSettings) -> str:
    return settings.event_stream if function == "persist" else settings.update_stream


def _destination(s3: S3, bucket: str) -> Destination:
    return S3Destination(s3, bucket) if bucket else Nowhere()


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("workers", "lambdas"):
        logging.getLogger(name).setLevel(level)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
