"""An agent that counts, and the streams of numbered events that the runtime's tests feed it.

Each event says its key and its number among the key's events. `seen` keeps, for each key, how many events
came and the number of the last; `astray` those that came out of their order, or twice.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys

import msgspec

from schemas.errors import EventError
from schemas.settings import load
from workers.runtime.agents import Agents, Decoded, Topic
from workers.runtime.stream import Stream
from workers.runtime.table import Table
from workers.settings import WorkerSettings
from workers.working import work


class Numbered(msgspec.Struct, frozen=True, array_like=True):
    """The `number`th event of a key."""

    key: str
    number: int


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """How many events of a key came, and the number of the last."""

    count: int = 0
    last: int = 0


_decoder = msgspec.msgpack.Decoder(list[Numbered])


def encode(events: list[Numbered]) -> bytes:
    return msgspec.msgpack.encode(events)


def decode(data: bytes) -> Decoded[Numbered]:
    try:
        return Decoded(list(enumerate(_decoder.decode(data))))
    except msgspec.DecodeError as error:
        raise EventError(str(error)) from error


agents = Agents()
numbers = Topic[Numbered](name="events", decode=decode)


@agents.agent(numbers)
async def counter(stream: Stream[Numbered], seen: Table[str, Seen], astray: Table[str, int]) -> None:
    async for event in stream:
        before = seen[event.key]
        seen[event.key] = Seen(before.count + 1, event.number)
        if event.number != before.last + 1:
            astray[event.key] += 1


async def main() -> int:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    return await work(load(WorkerSettings, os.environ), agents, stop=stop)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(created).3f %(message)s")
    logging.getLogger("workers").setLevel(logging.DEBUG)
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(asyncio.run(main()))
