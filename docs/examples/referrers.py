"""Tells, once a minute is over, where each program's views came from."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

from schemas.events import Event, View
from workers.agents.app import agents, events
from workers.runtime.sink import Sink
from workers.runtime.stream import Stream
from workers.runtime.table import TableOptions, WindowedTable
from workers.runtime.window import Window, tumbling

EACH_MINUTE = TableOptions(window=tumbling(60_000, lateness_ms=10_000))


@agents.agent(events)
async def referrers(
    stream: Stream[Event],
    views: Annotated[WindowedTable[tuple[str, str], int], EACH_MINUTE],
    lines: Sink[str],
) -> None:
    views.on_close(lambda window, counts: lines.send(report(window, counts)))
    async for event in stream:
        if isinstance(event, View) and event.valid:
            for minute in views.at(event.received_at_ms):
                minute[event.program.program_id, event.referrer or "nowhere"] += 1


def report(window: Window, counts: Mapping[tuple[str, str], int]) -> str:
    """The five commonest of a minute, in a line."""
    commonest = Counter(dict(counts)).most_common(5)
    told = ", ".join(f"{program_id} from {referrer}: {count}" for (program_id, referrer), count in commonest)
    return f"{datetime.fromtimestamp(window.start_ms / 1000, UTC):%H:%M} {told}"
