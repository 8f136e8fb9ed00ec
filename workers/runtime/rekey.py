"""Re-keyed streams: events once more, under other keys, so that all of one key come to one shard.

    touches = rekeyed(events, name="touches", record=frame_of)

    @agents.agent(events)
    async def rekey(stream: Stream[Event], touches: Sink[Keyed[Event]]) -> None:
        await stream.group_by(keys_of, touches)

    @agents.agent(touches)
    async def matcher(stream: Stream[Keyed[Event]], ...) -> None: ...

It takes a stream of its own, which `keyed_entry` fills. Events of one key that came from different shards
have no order among them, and after a kill they come again: whoever reads them must take both. Event time
does not pass there without events: those that sent none may only be late.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from schemas.errors import UNREADABLE, EventError
from workers.runtime.agents import Decoded, Topic
from workers.runtime.puts import Entry
from workers.runtime.stream import Keyed

T = TypeVar("T")


class _Wire(msgspec.Struct, frozen=True, array_like=True):
    """A record of a re-keyed stream: the key, and a record of the first stream with the event alone."""

    key: str
    record: bytes


_decoder = msgspec.msgpack.Decoder(_Wire)


def rekeyed(topic: Topic[T], *, name: str, record: Callable[[T], bytes]) -> Topic[Keyed[T]]:
    """The topic `name` of what is sent on from `topic`. `record` makes what `topic.decode` reads."""

    def decode(data: bytes) -> Decoded[Keyed[T]]:
        wire = _read(data)
        decoded = topic.decode(wire.record)
        return Decoded([(place, Keyed(wire.key, event)) for place, event in decoded.events], decoded.failed)

    def encode(keyed: Keyed[T]) -> bytes:
        return msgspec.msgpack.encode(_Wire(keyed.key, record(keyed.event)))

    at_ms = topic.at_ms
    return Topic(
        name=name,
        decode=decode,
        encode=encode,
        follows_clock=False,
        at_ms=None if at_ms is None else lambda keyed: at_ms(keyed.event),
        named=lambda keyed: topic.named(keyed.event),
    )


def keyed_entry(topic: Topic[Keyed[T]]) -> Callable[[Keyed[T]], Entry]:
    """What puts an event on the stream of a re-keyed topic. A key is at most 256 characters long."""
    return lambda keyed: Entry(Data=topic.encode(keyed), PartitionKey=keyed.key)


def _read(data: bytes) -> _Wire:
    try:
        return _decoder.decode(data)
    except UNREADABLE as error:
        raise EventError(f"the record is not re-keyed: {error}") from error
