"""`python -m tests.bench.held COUNT`: what programs in a task's memory take, and what looking one up takes.

Each count in a process of its own, so that its memory is the programs' alone.
"""

import asyncio
import random
import subprocess
import sys
import time

import msgspec

from schemas.redis import Record, program_change, read_program
from tests.bench.processes import module
from tests.bench.requests import FIRST_PROGRAM
from tests.bench.usage import own_rss_mb
from tests.factories import program
from tests.tracker.ports import tracker_settings
from tracker.programs import Programs
from tracker.services import clock_ms

COUNTS = (10, 1_000, 10_000, 100_000, 1_000_000)
LOOK_UPS = 200_000


class Held(msgspec.Struct, frozen=True):
    programs: int
    bytes_per_program: float
    us_per_look_up: float


class Level:
    """Core data as it is read from Redis: every program has texts of its own."""

    def __init__(self) -> None:
        version, self._value, *_ = program_change("programs", program()).args
        self._version = str(version)
        self._id = program().program_id.encode()

    async def read(self, program_id: str) -> Record | None:
        return read_program([self._version, self._value.replace(self._id, program_id.encode())])

    async def fill(self, program_id: str, record: Record) -> None:
        return None


def measure(most: int) -> list[Held]:
    """Of each count up to `most`."""
    return [
        msgspec.json.decode(subprocess.check_output(module("tests.bench.held", count)), type=Held)
        for count in COUNTS
        if count <= most
    ]


async def _measure(count: int) -> Held:
    """`count` programs, read and then looked up in no order."""
    settings = tracker_settings(programs_max=count)
    programs = Programs(Level(), Level(), settings, clock_ms)
    programs.link_up()
    before_mb = own_rss_mb()
    for number in range(count):
        await programs.get(str(FIRST_PROGRAM + number))
    taken_mb = own_rss_mb() - before_mb
    ids = [str(FIRST_PROGRAM + random.randrange(count)) for _ in range(LOOK_UPS)]
    began_s = time.process_time()
    for program_id in ids:
        programs.held(program_id)
    us = (time.process_time() - began_s) / LOOK_UPS * 1e6
    return Held(count, taken_mb * 1024 * 1024 / count, us)


if __name__ == "__main__":
    print(msgspec.json.encode(asyncio.run(_measure(int(sys.argv[1])))).decode())
