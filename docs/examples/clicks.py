"""Says each program's clicks as they come: an agent in ten lines."""

from schemas.events import Click, Event
from workers.agents.app import agents, events
from workers.runtime.stream import Stream
from workers.runtime.table import Table


@agents.agent(events)
async def clicks(stream: Stream[Event], counts: Table[str, int]) -> None:
    async for event in stream:
        if isinstance(event, Click):
            counts[event.program.name] += 1
            print(event.program.name, counts[event.program.name], flush=True)
