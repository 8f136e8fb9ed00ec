"""`python -m tests.bench.held COUNT`: what programs in a task's memory take, and what looking one up takes.

A process of its own, so that its memory is the programs' alone; prints JSON.
"""

import asyncio
import random
import sys
import time

import msgspec

from schemas.redis import Record, program_change, read_program
from tests.bench.requests import FIRST_PROGRAM
from tests.bench.usage import own_rss_mb
from tests.factories import program
from tests.tracker.ports import tracker_settings
from tracker.programs import Programs
from tracker.services import clock_ms

LOOK_UPS = 200_000


class Held(msgspec.Struct, frozen=True):
    programs: int
    bytes_per_program: float
    us_per_look_up: float


class Level:
    """Core data as it is read from Redis: every program has texts of its own."""

    async def read(self, program_id: str) -> Record | None:
        version, value, *_ = program_change("programs", program(program_id=program_id)).args
        return read_program([str(version), value])

    async def fill(self, program_id: str, record: Record) -> None:
        return None


async def measure(count: int) -> Held:
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
    print(msgspec.json.encode(asyncio.run(measure(int(sys.argv[1])))).decode())
