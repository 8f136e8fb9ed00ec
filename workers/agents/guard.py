"""Finds the visitors who flood a program with clicks, and tells until when their events do not count.

A visitor floods with GUARD_HIGH_CLICKS in a window, and after that with GUARD_LOW_CLICKS in each further
window: so a flag does not come and go with a visitor who is about at the mark. Clicks count here whatever a
tracker made of them, or a flag would end itself; so does a click that is sent again. Events without visitor
are not judged, and all events of one visitor are on one shard. A reshard forgets the window at hand.

Of a window GUARD_WATCHED_MAX visitors of a program are watched, and more only where two shards become one.
Where another comes, everybody loses a click (Misra and Gries, "Finding repeated elements", 1982): so no
visitor is ever taken to have made more clicks than he did, and of N clicks he is taken to have made at most
N / GUARD_WATCHED_MAX too few.
"""

import operator
from collections.abc import Iterable
from hashlib import blake2b
from typing import Annotated, NamedTuple

import msgspec

from schemas.events import Click, Event
from schemas.updates import Update, VisitorFlagged
from workers.agents.app import agents, events
from workers.runtime.sink import Sink
from workers.runtime.stream import Stream
from workers.runtime.table import TableOptions, WindowedTable
from workers.runtime.window import Windowing, tumbling
from workers.settings import AgentSettings

BATCH_MAX = 500
BATCH_MS = 50
"""Events are judged so many at a time, or so long after the first of them."""
NAME_BYTES = 16


class Clicks(msgspec.Struct, frozen=True, array_like=True):
    """What a visitor made in a window so far, at least, and whether that is a flood."""

    count: int = 0
    floods: bool = False


Crowd = dict[bytes, Clicks]
"""The visitors of a program in a window, by a digest: names may be long, and need not be written down."""


class Judged(NamedTuple):
    """A crowd after some clicks, and the visitors whose flood began with one of them, with their clicks."""

    crowd: Crowd
    flooding: dict[str, int]


def windows(settings: AgentSettings) -> Windowing:
    """A window stays open while the next is, which looks back at it."""
    return tumbling(settings.guard_window_ms, lateness_ms=settings.guard_window_ms)


CROWDS = TableOptions(window=windows, merge=operator.or_)


@agents.agent(events)
async def guard(
    stream: Stream[Event],
    crowds: Annotated[WindowedTable[str, Crowd], CROWDS],
    updates: Sink[Update],
    settings: AgentSettings,
) -> None:
    window_ms = settings.guard_window_ms
    async for batch in stream.take(BATCH_MAX, within_ms=BATCH_MS):
        for (program_id, start_ms), visitors in clicks_of(batch, window_ms).items():
            before = [pane[program_id] for pane in crowds.between(start_ms - window_ms, start_ms - 1)]
            for pane in crowds.at(start_ms):
                judged = judge(pane[program_id], before[0] if before else {}, visitors, settings)
                pane[program_id] = judged.crowd
                for visitor, clicks in judged.flooding.items():
                    updates.send(flag(program_id, start_ms, visitor, clicks, settings))


def clicks_of(batch: Iterable[Event], window_ms: int) -> dict[tuple[str, int], list[str]]:
    """Who clicked, a name for each click, by program and start of the window."""
    groups: dict[tuple[str, int], list[str]] = {}
    for event in batch:
        if isinstance(event, Click) and event.visitor:
            start_ms = event.received_at_ms - event.received_at_ms % window_ms
            groups.setdefault((event.program.program_id, start_ms), []).append(event.visitor)
    return groups


def judge(crowd: Crowd, before: Crowd, visitors: Iterable[str], settings: AgentSettings) -> Judged:
    """The crowd with these clicks. `before` is that of the window before."""
    judged = Judged(dict(crowd), {})
    for visitor in visitors:
        name = name_of(visitor)
        flooded = name in before and before[name].floods
        mark = settings.guard_low if flooded else settings.guard_high
        clicks = _clicked(judged.crowd, name, mark, settings.guard_watched_max)
        if clicks is not None:
            judged.flooding[visitor] = clicks
    return judged


def flag(
    program_id: str, start_ms: int, visitor: str, clicks: int, settings: AgentSettings
) -> VisitorFlagged:
    """What is told of a visitor whose flood began in the window that starts then."""
    until_ms = start_ms + settings.guard_window_ms + settings.guard_flag_ms
    return VisitorFlagged(program_id=program_id, visitor=visitor, until_ms=until_ms, clicks=clicks)


def name_of(visitor: str) -> bytes:
    return blake2b(visitor.encode(), digest_size=NAME_BYTES).digest()


def _clicked(crowd: Crowd, name: bytes, mark: int, watched_max: int) -> int | None:
    """Adds a click to the crowd. The visitor's clicks where a flood begins with this one, at the mark."""
    if name not in crowd and len(crowd) >= watched_max:
        _thin_out(crowd)
        return None
    held = crowd.get(name, Clicks())
    count = held.count + 1
    crowd[name] = Clicks(count, held.floods or count >= mark)
    return count if count >= mark and not held.floods else None


def _thin_out(crowd: Crowd) -> None:
    """Takes a click off everybody. Who has none left is watched no longer."""
    left = {name: Clicks(each.count - 1, each.floods) for name, each in crowd.items() if each.count > 1}
    crowd.clear()
    crowd.update(left)
