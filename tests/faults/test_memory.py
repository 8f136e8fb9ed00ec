"""A tracker's memory while nothing can be put and clients do not let up."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from aiohttp import ClientSession
from prometheus_client.parser import text_string_to_metric_families

from tests.faults.load import BUFFER_FULL, NOT_ACKNOWLEDGED, TIMED_OUT, Load
from tests.faults.ordeal import Ordeal
from tests.faults.stack import BUFFER_MAX_BYTES, System
from tracker.metrics import BLOCKS

DOWN_S = 30
DOWN_AGAIN_S = 20
"""Long enough for the buffer to be full again."""
EVENTS_PER_S = 2_000
BATCH_SIZES = (1, 100)
ATTEMPTS = 3
CALM_S = 12
"""For what clients still send again, and then for the memory to go back."""
REFERRER_BYTES = 1_500
"""Before base64 makes it a third more."""
ABOVE_BUFFER_BYTES = 60_000_000
KEPT_BYTES = 4_000_000
"""What a second outage may add to what is left of the first."""
BLOCKS_KEPT_SHARE = 0.02
CALM_EVENTS_PER_S = 100
TRACKERS = ("tracker-1", "tracker-2")

Sizes = Mapping[str, int]
"""By tracker: resident bytes, or blocks that Python has in use."""


async def test_memory_while_kinesis_is_down(ordeal: Ordeal) -> None:
    """Memory while Kinesis is down for 30 s, at full load.

    Clients send 2,000 events of 2 KB each second, and nothing can be put. Each tracker fills its buffer of
    16 MiB and then answers 503 at once. Its resident memory may grow by the buffer and 60 MB, and it serves
    again when Kinesis is back. Then it has no more in use than before. What stays resident are the pages
    that Python's allocator keeps for the next time, fewer than the buffer took: a second outage of 20 s adds
    no more than 4 MB to them.
    """
    system, ordeal.errors = ordeal.system, frozenset({NOT_ACKNOWLEDGED, BUFFER_FULL, TIMED_OUT})
    idle = _resident_bytes(system)
    async with ordeal.under_load(
        events_per_s=EVENTS_PER_S, batch_sizes=BATCH_SIZES, attempts=ATTEMPTS, referrer_bytes=REFERRER_BYTES
    ) as load:
        loaded, in_use = _resident_bytes(system), await _blocks(system)
        peak = await _outage(system, load, DOWN_S)
        after, still_in_use = _resident_bytes(system), await _blocks(system)
        load.events_per_s = EVENTS_PER_S
        again = await _outage(system, load, DOWN_AGAIN_S)
        at_last = _resident_bytes(system)
    assert load.errors("during")[BUFFER_FULL]
    stages = {"idle": idle, "under load before": loaded, "at most": peak, f"{CALM_S} s after it": after}
    stages |= {"at most the second time": again, "after that": at_last}
    ordeal.notes.append(f"In MB: {'; '.join(f'{stage} {_megabytes(stages[stage])}' for stage in stages)}.")
    for name in TRACKERS:
        assert max(peak[name], again[name]) - idle[name] <= BUFFER_MAX_BYTES + ABOVE_BUFFER_BYTES
        assert after[name] - loaded[name] < BUFFER_MAX_BYTES
        assert still_in_use[name] <= in_use[name] * (1 + BLOCKS_KEPT_SHARE)
        assert at_last[name] <= after[name] + KEPT_BYTES


async def _outage(system: System, load: Load, down_s: int) -> Sizes:
    """The most that was resident. Returns once all is calm again and trackers serve."""
    await system.cables.kinesis.cut()
    peak = await _peak_bytes(system, down_s)
    load.events_per_s = CALM_EVENTS_PER_S
    await system.cables.kinesis.heal()
    await system.until_ready()
    acknowledged = len(load.acknowledged)
    await asyncio.sleep(CALM_S)
    assert len(load.acknowledged) > acknowledged
    return peak


def _megabytes(sizes: Sizes) -> str:
    return " and ".join(f"{each / 1e6:.0f}" for each in sizes.values())


async def _peak_bytes(system: System, down_s: int) -> Sizes:
    peak = dict.fromkeys(TRACKERS, 0)
    for _ in range(down_s * 5):
        peak = {name: max(peak[name], size) for name, size in _resident_bytes(system).items()}
        await asyncio.sleep(0.2)
    return peak


def _resident_bytes(system: System) -> Sizes:
    return {name: _resident_bytes_of(system.pid(name)) for name in TRACKERS}


def _resident_bytes_of(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


async def _blocks(system: System) -> Sizes:
    async with ClientSession() as session:
        return {
            name: await _blocks_of(session, url)
            for name, url in zip(TRACKERS, system.file.trackers, strict=True)
        }


async def _blocks_of(session: ClientSession, tracker: str) -> int:
    async with session.get(f"{tracker}/metrics") as response:
        families = text_string_to_metric_families(await response.text())
    (blocks,) = (each.samples[0].value for each in families if each.name == BLOCKS)
    return int(blocks)
