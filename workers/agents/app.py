"""The registry of the agents, and the streams they may read and the sinks they may send to.

An agent is a module of this package that registers itself here: it is found by being there.
"""

from schemas.events import Event, encode_event, hash_key
from schemas.frames import decode_frame, encode_frame
from schemas.updates import Update, decode_update, encode_update
from workers.runtime.agents import Agents, Decoded, Topic
from workers.runtime.rekey import rekeyed
from workers.runtime.stream import Named
from workers.settings import AgentSettings


def _events(data: bytes) -> Decoded[Event]:
    frame = decode_frame(data)
    return Decoded(frame.placed, frame.failed)


def _updates(data: bytes) -> Decoded[Update]:
    return Decoded([(0, decode_update(data))])


agents = Agents(settings_type=AgentSettings)

events = Topic[Event](
    name="events",
    decode=_events,
    encode=encode_event,
    at_ms=lambda event: event.received_at_ms,
    hash_of=hash_key,
    named=lambda event: Named(event.message_id, event.traceparent),
)
touches = rekeyed(events, name="touches", record=lambda event: encode_frame([encode_event(event)]))
updates = Topic[Update](name="updates", decode=_updates, encode=encode_update)
