"""`python -m cdk.local run` keeps the system up on this machine; `demo` shows that it works.

`workers` runs the workers' command line against it.
"""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Coroutine
from pathlib import Path

from cdk.local.commands import run_workers
from cdk.local.console import say
from cdk.local.demo import demo
from cdk.local.settings import LocalSettings
from cdk.local.stack import ROOT, running_stack
from cdk.local.welcome import welcome
from schemas.errors import TrackerError
from schemas.settings import load

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130
"""The exit status of a demo that was stopped before its end, as shells have it."""


def main() -> int:
    """The exit status: 0 after a stop on request or a balanced demo, 1 when something is wrong."""
    arguments = _parser().parse_args()
    try:
        if arguments.command == "workers":
            run_workers(arguments.arguments, run_dir=arguments.run_dir, given=os.environ)
        settings = _settings(arguments)
        if arguments.command == "demo":
            work = demo(settings, run_dir=arguments.run_dir, given=os.environ, say=say)
            return asyncio.run(_until_stopped(work, stopped=INTERRUPTED))
        return asyncio.run(_until_stopped(_run(settings, arguments.run_dir), stopped=0))
    except TrackerError as error:
        print(error, file=sys.stderr)
        return 1


def _settings(arguments: argparse.Namespace) -> LocalSettings:
    options = {name: value for name, value in vars(arguments).items() if name.isupper() and value is not None}
    return load(LocalSettings, {**os.environ, **options})


async def _run(settings: LocalSettings, run_dir: Path) -> int:
    say("Starting Valkey, MiniStack, two trackers, the Lambdas and the workers ...")
    started_s = time.monotonic()
    async with running_stack(settings, run_dir=run_dir, given=os.environ, say=say) as stack:
        say(welcome(stack, settings, run_dir, took_s=time.monotonic() - started_s))
        await asyncio.Event().wait()
    return 0


async def _until_stopped(work: Coroutine[None, None, int], *, stopped: int) -> int:
    """What `work` returns, or `stopped` when a signal ended it. Only the first signal counts."""
    task = asyncio.create_task(work)
    requests: list[int] = []

    def stop(number: int) -> None:
        requests.append(number)
        if len(requests) == 1:
            say("Stopping ...")
            task.cancel()

    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    await asyncio.wait({task})
    if task.cancelled() and requests:
        say("Stopped.")
        return stopped
    return task.result()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cdk.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="bring the system up and keep it up until Ctrl-C")
    run.add_argument("--port", dest="PORT", help="of the first tracker; 0 picks free ones (8080)")
    demo = commands.add_parser("demo", help="load events, change a program, balance the ledger")
    demo.add_argument("--events", dest="DEMO_EVENTS", help="how many (20000)")
    demo.add_argument("--lose", dest="DEMO_LOSE", help="remove so many before the audit: it must notice (0)")
    workers = commands.add_parser("workers", help="run `python -m workers` against the running system")
    workers.add_argument("arguments", nargs=argparse.REMAINDER, metavar="argument")
    for command in (run, demo, workers):
        command.add_argument(
            "--run-dir", type=_absolute, default=ROOT / ".run", help="of logs, state and stack.json (.run)"
        )
    return parser


def _absolute(path: str) -> Path:
    return Path(path).resolve()


if __name__ == "__main__":
    sys.exit(main())
