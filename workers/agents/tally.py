"""Counts what comes in, by program and minute, for whoever watches it live.

An event is counted in the minute it was received in, once: a message id that comes again within the last
REMEMBERED of its shard is not counted again, and neither a kill nor a move of the shard makes a difference.
In the minute in which the stream is resharded an event that is sent again, and a visitor who comes again,
may count twice. What is more than TALLY_LATENESS_MS late is left to the totals.
"""

import operator
from typing import Annotated

from msgspec.structs import replace

from schemas.events import Event, kind_of
from schemas.invalidations import MinutePublished
from schemas.minutes import MINUTE_MS, Minute, minute_of
from workers.agents.app import agents, events
from workers.agents.recent import Recent
from workers.agents.sketch import distinct, merged, with_visitor
from workers.runtime.sink import Sink
from workers.runtime.stream import Stream
from workers.runtime.table import Table, TableOptions, WindowedTable
from workers.runtime.window import Windowing, tumbling
from workers.settings import AgentSettings

Parts = dict[str, Minute]
"""What is known of a program's minute here. The first part is counted on; others came with a merged shard."""


def each_minute(settings: AgentSettings) -> Windowing:
    return tumbling(MINUTE_MS, lateness_ms=settings.tally_lateness_ms)


COUNTS = TableOptions(window=each_minute, merge=operator.or_)
VISITORS = TableOptions(window=each_minute, merge=merged)
RECENT = TableOptions(merge=operator.add)


@agents.agent(events)
async def tally(
    stream: Stream[Event],
    counts: Annotated[WindowedTable[str, Parts], COUNTS],
    visitors: Annotated[WindowedTable[str, bytes], VISITORS],
    recent: Annotated[Table[int, bytes], RECENT],
    minutes: Sink[MinutePublished],
) -> None:
    known = Recent(recent)
    async for event in stream:
        program_id, at_ms = event.program.program_id, event.received_at_ms
        if known.add(program_id, event.message_id):
            for parts, sketches in zip(counts.at(at_ms), visitors.at(at_ms), strict=True):
                sketches[program_id] = met(sketches[program_id], event)
                parts[program_id] = counted(parts[program_id], event, distinct(sketches[program_id]))
                minutes.send(published(program_id, minute_of(at_ms), parts[program_id]))


def met(sketch: bytes, event: Event) -> bytes:
    """The visitors of a minute, with that of an event which counts."""
    return with_visitor(sketch, event.visitor) if event.valid and event.visitor else sketch


def counted(parts: Parts, event: Event, visitors: int) -> Parts:
    """The parts with one more event, as so many visitors are known in all of them."""
    part = next(iter(parts), str(event.message_id))
    before = parts.get(part, Minute())
    elsewhere = sum(minute.visitors for name, minute in parts.items() if name != part)
    field = f"{kind_of(event)}s" if event.valid else "invalid"
    more = {field: getattr(before, field) + 1, "visitors": max(before.visitors, visitors - elsewhere)}
    return parts | {part: replace(before, **more)}


def published(program_id: str, start_ms: int, parts: Parts) -> MinutePublished:
    """What the part that is counted on has come to."""
    part, minute = next(iter(parts.items()))
    return MinutePublished(program_id=program_id, start_ms=start_ms, part=part, minute=minute)
