"""`python -m tests.bench.storing CASE`: a function as Lambda runs it, one batch after the other.

Each line on its input is an order to store so many batches; it answers with the events and CPU seconds that
they took, in JSON. What batches hold is made before the clock starts.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import msgspec
from uuid_utils.compat import uuid7

from schemas.events import Event, encode_event
from schemas.frames import encode_frame
from tests.bench.cases import Case, by_name
from tests.factories import click, conversion, core_data, view
from tests.lambdas.cloud import delivered

Handler = Callable[[dict[str, Any], object], object]
_KINDS = (view,) * 8 + (click, conversion)
_BROWSERS = (
    "Chrome 142 Windows",
    "Safari 19 iOS",
    "Chrome 142 Android",
    "Firefox 145 Linux",
    "Edge 142 Windows",
)
_sequence_numbers = count(10**55)


class Stored(msgspec.Struct, frozen=True):
    """What an order took."""

    events: int
    cpu_s: float


def events(case: Case) -> Iterator[Event]:
    """Of every kind, with what a browser brings, of each program in turn."""
    programs = [core_data(program_id=str(212_000 + number)) for number in range(case.programs)]
    for number in count():
        yield _KINDS[number % len(_KINDS)](
            message_id=uuid7(),
            received_at_ms=time.time_ns() // 1_000_000,
            program=programs[number % len(programs)],
            valid=number % 20 != 0,
            user_agent=_BROWSERS[number % len(_BROWSERS)],
            visitor=os.urandom(8).hex(),
            referrer=f"https://news.example/articles/{number % 500}",
            client_address=f"192.0.{number % 256}.0",
        )


def batch(case: Case, some: Iterator[Event]) -> dict[str, Any]:
    payloads = [_payload(case, [next(some) for _ in range(case.frame)]) for _ in range(case.records)]
    return {"Records": [delivered("events", str(next(_sequence_numbers)), data) for data in payloads]}


def _payload(case: Case, some: Sequence[Event]) -> bytes:
    if case.is_naive:
        (event,) = some
        return msgspec.json.encode(_flat(event))
    return encode_frame([encode_event(event) for event in some])


def _flat(event: Event) -> dict[str, Any]:
    """The attributes that an item of ours has, too."""
    program = msgspec.structs.asdict(event.program)
    own = msgspec.structs.asdict(event) | {"kind": event.__struct_config__.tag}
    return {name: value for name, value in (own | program).items() if value is not None and name != "program"}


def handler_of(case: Case) -> Handler:
    """Imported by who needs it alone, as a function's bundle would."""
    if case.is_naive:
        from tests.bench.naive_lambda import handler as naive

        return naive
    from lambdas.persist import handler

    return handler


def store(handler: Handler, batches: Sequence[dict[str, Any]], case: Case) -> Stored:
    began_s = time.process_time()
    for each in batches:
        answer = handler(each, None)
        assert case.is_naive or answer == {"batchItemFailures": []}
    return Stored(len(batches) * case.events, time.process_time() - began_s)


def main() -> None:
    case = by_name(sys.argv[1])
    handler, some = handler_of(case), events(case)
    for line in sys.stdin:
        batches = [batch(case, some) for _ in range(int(line))]
        print(json.dumps(msgspec.to_builtins(store(handler, batches, case))), flush=True)


if __name__ == "__main__":
    main()
