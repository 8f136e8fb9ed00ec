"""`python -m tests.load`: sends events at trackers, shows how they take it, and audits what is stored."""

import argparse
import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import httpx
import msgspec
from rich.console import Console

from cdk.local.report import print_ledger
from cdk.local.stack_file import StackFile, read_stack_file
from schemas.errors import TrackerError
from tests.load.arguments import parse_arguments, plan_fields
from tests.load.events import Events
from tests.load.fleet import Fleet, Progress
from tests.load.page import write_page
from tests.load.plan import LoadError, Plan, Target, check_trackers, make_plan
from tests.load.programs import Programs
from tests.load.report import print_report
from tests.load.verify import EVENTS_MAX, verify
from tests.load.view import live_view

HTTP_TIMEOUT_S = 20.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
REPORT = "load.html"


def main(given: list[str]) -> int:
    """The exit status: 0 if all that was sent was acknowledged, and balances where that was asked for."""
    try:
        return asyncio.run(_main(parse_arguments(given), Console()))
    except TrackerError as error:
        print(error, file=sys.stderr)
        return 1


async def _main(asked: argparse.Namespace, console: Console) -> int:
    stack = read_stack_file(asked.run_dir)
    plan = await _plan(asked, stack)
    fleet = Fleet(plan)
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, fleet.stop)
    console.print(f"Sending to {', '.join(plan.trackers)}; Ctrl-C ends it early ...", soft_wrap=True)
    with live_view(console) as say:
        ended = await fleet.run(say)
    print_report(ended, console)
    _write(asked.report or asked.run_dir / REPORT, ended, console)
    balanced = stack is None or not asked.verify or await _verified(fleet, plan, stack, console)
    return 0 if balanced and ended.tally.acknowledged == ended.tally.sent else 1


async def _plan(asked: argparse.Namespace, stack: StackFile | None) -> Plan:
    """Raises LoadError for what cannot be done, before anything is sent."""
    trackers = asked.tracker or (stack.trackers if stack else None)
    if trackers is None:
        raise LoadError(f"Nothing runs in {asked.run_dir}. Start it with `make run`, or give --tracker URL")
    check_trackers(trackers, remote=asked.allow_remote)
    run = f"{time.time_ns() // 1_000_000:012x}"
    plan = make_plan({"run": run, "trackers": trackers} | plan_fields(asked))
    if asked.verify and (stack is None or plan.events_max > EVENTS_MAX):
        raise LoadError(f"--verify audits up to {EVENTS_MAX:,} events of a system that runs on this machine")
    return msgspec.structs.replace(plan, programs=await _programs(asked, trackers[0]))


async def _programs(asked: argparse.Namespace, tracker: str) -> tuple[Target, ...]:
    token = os.environ.get("ADMIN_TOKEN")
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(
        base_url=tracker, headers=headers, timeout=HTTP_TIMEOUT_S, trust_env=False
    ) as http:
        programs = Programs(http)
        if asked.program:
            return await programs.known(asked.program)
        if asked.own_programs is not None:
            return await programs.own(asked.own_programs)
        return await programs.samples()


async def _verified(fleet: Fleet, plan: Plan, stack: StackFile, console: Console) -> bool:
    console.print("Reading the tables ...")
    found = await verify(stack, Events(plan), sent=fleet.sent(), unacknowledged=set(fleet.unacknowledged()))
    print_ledger(found, console)
    return found.balanced


def _write(path: Path, ended: Progress, console: Console) -> None:
    write_page(path, ended)
    console.print(f"Charts: {path}", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
