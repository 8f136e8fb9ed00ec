"""A tracker's memory while nothing can be put and clients do not let up."""

import asyncio
from pathlib import Path

from tests.faults.ordeal import Ordeal
from tests.faults.stack import BUFFER_MAX_BYTES, System

DOWN_S = 30
EVENTS_PER_S = 2_000
BATCH_SIZES = (1, 100)
ATTEMPTS = 3
CALM_S = 12
"""For what clients still send again, and then for the memory to go back."""
REFERRER_BYTES = 1_500
"""Before base64 makes it a third more."""
ABOVE_BUFFER_BYTES = 60_000_000
CALM_EVENTS_PER_S = 100
TRACKERS = ("tracker-1", "tracker-2")

Sizes = dict[str, int]
"""In bytes, by tracker."""


async def test_memory_while_kinesis_is_down(ordeal: Ordeal) -> None:
    """Memory while Kinesis is down for 30 s, at full load.

    Clients send 2,000 events of 2 KB each second, and nothing can be put. Each tracker fills its buffer of
    16 MiB and then answers 503 at once. Its resident memory may grow by the buffer and 60 MB, and it serves
    again when Kinesis is back. Then it is smaller again; what stays is what the allocator cannot give back.
    """
    idle = _resident_bytes(ordeal.system)
    async with ordeal.under_load(
        events_per_s=EVENTS_PER_S, batch_sizes=BATCH_SIZES, attempts=ATTEMPTS, referrer_bytes=REFERRER_BYTES
    ) as load:
        loaded = _resident_bytes(ordeal.system)
        await ordeal.system.cables.kinesis.cut()
        peak = await _peak_bytes(ordeal.system)
        load.events_per_s = CALM_EVENTS_PER_S
        await ordeal.system.cables.kinesis.heal()
        await ordeal.system.until_ready()
        acknowledged = len(load.acknowledged)
        await asyncio.sleep(CALM_S)
        assert len(load.acknowledged) > acknowledged
        after = _resident_bytes(ordeal.system)
    assert load.errors("during")["503 buffer_full"]
    stages = ("idle", idle), ("under load", loaded), ("at most", peak), (f"{CALM_S} s after it", after)
    ordeal.notes.append(f"In MB: {'; '.join(f'{stage} {_megabytes(sizes)}' for stage, sizes in stages)}.")
    for name in TRACKERS:
        assert peak[name] - idle[name] <= BUFFER_MAX_BYTES + ABOVE_BUFFER_BYTES
        assert after[name] < peak[name]


def _megabytes(sizes: Sizes) -> str:
    return " and ".join(f"{each / 1e6:.0f}" for each in sizes.values())


async def _peak_bytes(system: System) -> Sizes:
    peak = dict.fromkeys(TRACKERS, 0)
    for _ in range(DOWN_S * 5):
        peak = {name: max(peak[name], size) for name, size in _resident_bytes(system).items()}
        await asyncio.sleep(0.2)
    return peak


def _resident_bytes(system: System) -> Sizes:
    return {name: _resident_bytes_of(system.pid(name)) for name in TRACKERS}


def _resident_bytes_of(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024
