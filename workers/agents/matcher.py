"""Finds the click that a conversion is due to, whichever came first, as soon as both are known.

The event stream is keyed by visitor, and a partner who reports a conversion knows the click alone. So
`rekey` sends both on under what they can have in common (docs/decisions/0030-rekeyed-touches.md), and
`matcher` reads them from there. A match may be sent again, and anew when a later click turns up that
arrived late: the latest click holds. An event that comes again within the window changes nothing.
"""

from typing import Annotated

from schemas.events import Event
from schemas.updates import ConversionMatched, Update
from workers.agents.app import agents, events, touches
from workers.agents.matching import Trail, is_known, keys_of, matches, with_event
from workers.runtime.sink import Sink
from workers.runtime.stream import Keyed, Stream
from workers.runtime.table import TableOptions, WindowedTable
from workers.runtime.window import Windowing, tumbling
from workers.settings import AgentSettings


def windows(settings: AgentSettings) -> Windowing:
    """An event may come a window behind the newest and still find its match. A window is asked for by the
    conversions of the next one, so it stays as long as those may be late."""
    return tumbling(settings.matcher_window_ms, lateness_ms=2 * settings.matcher_window_ms)


@agents.agent(events)
async def rekey(stream: Stream[Event], touches: Sink[Keyed[Event]]) -> None:
    await stream.group_by(keys_of, touches)


@agents.agent(touches)
async def matcher(
    stream: Stream[Keyed[Event]],
    trails: Annotated[WindowedTable[str, Trail], TableOptions(window=windows)],
    matched: Sink[ConversionMatched],
    updates: Sink[Update],
    settings: AgentSettings,
) -> None:
    window_ms = settings.matcher_window_ms
    async for touch in stream:
        at_ms = touch.event.received_at_ms
        around = trails.between(at_ms - window_ms, at_ms + window_ms)
        if not is_known(touch.event, (pane[touch.key] for pane in around)):
            for pane in trails.at(at_ms):
                pane[touch.key] = with_event(pane[touch.key], touch.event)
            known = [pane[touch.key] for pane in around]
            for match in matches(touch.key, touch.event, known, window_ms=window_ms):
                matched.send(match)
                updates.send(match)
