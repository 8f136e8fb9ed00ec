"""Trackers that die, and one that is told to stop."""

import asyncio
import signal
import time

from tests.faults.load import LOST, REFUSED
from tests.faults.ordeal import Ordeal
from tests.faults.stack import until

STOP_WITHIN_S = 15.0
KINESIS_DELAY_S = 0.1
"""Each way."""


async def test_tracker_killed_three_times(ordeal: Ordeal) -> None:
    """Tracker killed three times.

    A tracker gets SIGKILL under load, three times in turn with the other one, while Kinesis takes a fifth
    of a second to answer: some events are on the stream and not acknowledged yet. Their clients send them
    again, to the other tracker.
    """
    ordeal.errors = frozenset({REFUSED, LOST})
    ordeal.system.cables.kinesis.delay(KINESIS_DELAY_S)
    async with ordeal.under_load():
        for name in ("tracker-1", "tracker-2", "tracker-1"):
            await ordeal.system.kill_and_wait(name)
            await ordeal.system.until_ready()
            await asyncio.sleep(1)


async def test_tracker_stopped(ordeal: Ordeal) -> None:
    """Tracker told to stop.

    A tracker gets SIGTERM under load. It says on every answer that its clients should connect elsewhere,
    ends what is in flight and exits with 0; no request fails but by a refused connection.
    """
    system, ordeal.errors = ordeal.system, frozenset({REFUSED})
    async with ordeal.under_load():
        started_s = time.monotonic()
        pid = system.signal("tracker-1", signal.SIGTERM)
        await until(lambda: f"(process {pid}) ended" in system.console(), timeout_s=STOP_WITHIN_S)
        took_s = time.monotonic() - started_s
        await system.until_replaced("tracker-1", pid)
        await system.until_ready()
    assert f"(process {pid}) ended with exit code 0" in system.console()
    ordeal.notes.append(f"It took {took_s:.1f} s.")
