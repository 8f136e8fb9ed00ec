"""`python -m tests.load.worker N`: a process that sends its share of the plan on its stdin.

It says on its stdout how far it is, a message at a time: length, then msgpack. It stops when its stdin
ends, so that it does not outlive whoever started it.
"""

import asyncio
import sys

import msgspec
import uvloop
from msgspec import Struct

from tests.load.plan import Plan
from tests.load.sender import Sender
from tests.load.tally import Tally

SAY_INTERVAL_S = 0.25
LENGTH_BYTES = 4


class Report(Struct, array_like=True):
    """How far a process is. The last one has the numbers of the events that were not acknowledged."""

    tally: Tally
    unacknowledged: list[int] | None = None


def main() -> int:
    uvloop.run(_work(int(sys.argv[1])))
    return 0


async def _work(process: int) -> None:
    commands = await _stdin()
    sender = Sender(msgspec.json.decode(await commands.readline(), type=Plan), process)
    stopping = asyncio.create_task(_stop_at_end(commands, sender))
    saying = asyncio.create_task(_say_often(sender))
    await sender.run()
    for task in (stopping, saying):
        task.cancel()
    _say(sender, sender.unacknowledged)


async def _stop_at_end(commands: asyncio.StreamReader, sender: Sender) -> None:
    await commands.read()
    sender.stop()


async def _say_often(sender: Sender) -> None:
    while True:
        await asyncio.sleep(SAY_INTERVAL_S)
        _say(sender, None)


def _say(sender: Sender, unacknowledged: list[int] | None) -> None:
    report = Report(sender.tally, unacknowledged)
    data = msgspec.msgpack.encode(report)
    sys.stdout.buffer.write(len(data).to_bytes(LENGTH_BYTES) + data)
    sys.stdout.buffer.flush()


async def read_report(stream: asyncio.StreamReader) -> Report:
    """Raises IncompleteReadError where the process ended before it was done."""
    length = int.from_bytes(await stream.readexactly(LENGTH_BYTES))
    return msgspec.msgpack.decode(await stream.readexactly(length), type=Report)


async def _stdin() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    return reader


if __name__ == "__main__":
    sys.exit(main())
