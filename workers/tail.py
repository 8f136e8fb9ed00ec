"""`python -m workers tail`: a stream's messages as they arrive, decoded, a line of JSON each.

It reads with kinesis-python: a process for each open shard, from now on, keeping nothing. That does for
looking at a stream and for nothing else: where a shard closes, what came last on it is not shown
(docs/decisions/0004-not-on-kinesis-python.md).
"""

import multiprocessing
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from typing import Any, NamedTuple, Protocol

import msgspec

from schemas.errors import PoisonError
from schemas.frames import decode_frame
from schemas.updates import decode_update
from workers.failed import named
from workers.settings import TailSettings

READ_EVERY_S = 0.5
"""Of the five reads a second that a shard takes of all its readers."""

Say = Callable[[str], None]


class Line(NamedTuple):
    """A message as it is shown, and the program that it is about."""

    program_id: str
    text: str


class Consumer(Protocol):
    """What is asked of kinesis-python's consumer."""

    def setup_shards(self) -> None: ...

    def __iter__(self) -> Generator[dict[str, Any], None, None]: ...


def tail(settings: TailSettings, kind: str, *, program_id: str | None, say: Say = print) -> int:
    """Shows what comes until the process is told to stop. Blocks; ends by SIGINT and SIGTERM alone."""
    lines = _KINDS[kind]
    stream = settings.event_stream if kind == "event" else settings.update_stream
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    consumer = _consumer(stream, region=settings.region)
    with suppress(KeyboardInterrupt), closing(consumer.__iter__()) as records:
        consumer.setup_shards()
        print(f"{stream}: what comes from now on", file=sys.stderr, flush=True)
        for record in records:
            for line in shown(lines, record["Data"]):
                if program_id in (None, line.program_id):
                    say(line.text)
    return 0


def shown(lines: Callable[[bytes], Iterator[Line]], data: bytes) -> Iterator[Line]:
    """The messages of a record; what does not decode is said on stderr."""
    try:
        yield from lines(data)
    except PoisonError as error:
        print(f"{error.reason}: {error}", file=sys.stderr)


def event_lines(data: bytes) -> Iterator[Line]:
    """The events of a frame, with the names of their fields. Raises FrameError."""
    frame = decode_frame(data)
    for failed in frame.failed:
        print(f"event {failed.index} of a frame: {failed.detail}", file=sys.stderr)
    for event in frame.events:
        fields = {name: value for name, value in named(event).items() if value is not None}
        yield Line(event.program.program_id, msgspec.json.encode(fields).decode())


def update_lines(data: bytes) -> Iterator[Line]:
    """The update of a record. Raises UpdateError."""
    yield Line(decode_update(data).key, data.decode())


_KINDS = {"event": event_lines, "update": update_lines}


def _consumer(stream: str, *, region: str) -> Consumer:
    """Imported here alone: a worker needs none of it, and it starts processes by forking."""
    import boto3
    from kinesis.consumer import KinesisConsumer

    multiprocessing.set_start_method("fork", force=True)
    consumer: Consumer = KinesisConsumer(
        stream, boto3_session=boto3.Session(region_name=region), reader_sleep_time=READ_EVERY_S
    )
    return consumer
