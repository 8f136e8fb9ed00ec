"""A tracker's memory while nothing can be put and clients do not let up."""

import asyncio
from pathlib import Path

from tests.faults.ordeal import Ordeal
from tests.faults.stack import BUFFER_MAX_BYTES, System

DOWN_S = 30
EVENTS_PER_S = 2_000
BATCH_SIZES = (1, 100)
ATTEMPTS = 3
REFERRER_BYTES = 1_500
"""Before base64 makes it a third more."""
ABOVE_BUFFER_BYTES = 60_000_000
TRACKERS = ("tracker-1", "tracker-2")


async def test_memory_while_kinesis_is_down(ordeal: Ordeal) -> None:
    """Memory while Kinesis is down for 30 s, at full load.

    Clients send 2,000 events of 2 KB each second, and nothing can be put. Each tracker fills its buffer of
    16 MiB and then answers 503 at once. Its resident memory may grow by the buffer and 60 MB, and it serves
    again when Kinesis is back.
    """
    idle = {name: _resident_bytes(ordeal.system, name) for name in TRACKERS}
    async with ordeal.under_load(
        events_per_s=EVENTS_PER_S, batch_sizes=BATCH_SIZES, attempts=ATTEMPTS, referrer_bytes=REFERRER_BYTES
    ) as load:
        await ordeal.system.cables.kinesis.cut()
        peak = await _peak_bytes(ordeal.system)
        load.events_per_s = 100
        await ordeal.system.cables.kinesis.heal()
        await ordeal.system.until_ready()
        acknowledged = len(load.acknowledged)
        await asyncio.sleep(5)
        assert len(load.acknowledged) > acknowledged
        after = {name: _resident_bytes(ordeal.system, name) for name in TRACKERS}
    assert load.errors("during")["503 buffer_full"]
    grown = {name: peak[name] - idle[name] for name in TRACKERS}
    kept = {name: after[name] - idle[name] for name in TRACKERS}
    ordeal.notes.append(f"They grew by {_megabytes(grown)}; {_megabytes(kept)} of it were left 5 s later.")
    assert max(grown.values()) <= BUFFER_MAX_BYTES + ABOVE_BUFFER_BYTES


def _megabytes(sizes: dict[str, int]) -> str:
    return " and ".join(f"{each / 1e6:.0f} MB" for each in sizes.values())


async def _peak_bytes(system: System) -> dict[str, int]:
    peak = dict.fromkeys(TRACKERS, 0)
    for _ in range(DOWN_S * 5):
        peak = {name: max(most, _resident_bytes(system, name)) for name, most in peak.items()}
        await asyncio.sleep(0.2)
    return peak


def _resident_bytes(system: System, name: str) -> int:
    status = Path(f"/proc/{system.pid(name)}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024
