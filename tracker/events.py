"""Events: what is made of a request, once nothing forbidden is left in it."""

from functools import partial
from uuid import UUID

import msgspec
from msgspec.structs import replace
from uuid_utils import uuid7

from schemas.events import KINDS, CoreData, Event
from schemas.facts import flood_reason
from schemas.programs import InvalidReason, Privacy, Program, invalid_reason
from tracker.addresses import written
from tracker.privacy import Traces, allows_cookie, kept, policy_for
from tracker.requests import EventRequest
from tracker.sender import Sender
from tracker.user_agents import UserAgents
from tracker.visitors import VisitorHashes, new_visitor


class Tracked(msgspec.Struct, frozen=True, gc=False):
    """An event, and what a way in has to know to answer it.

    The event holds no more of its sender than the program lets be kept, so whatever is told to others
    (a macro of a destination, say) is taken from it. `counts` says whether the program counts events
    now, whoever sends them: a bot's click is not valid, and yet goes where the others go. So does a click
    in a flood, since a person may be among those who click.
    `new_visitor` is to be set as the visitor cookie.
    """

    event: Event
    program: Program
    counts: bool
    new_visitor: str | None


class EventMaker:
    """Makes events of requests, by their programs' rules."""

    def __init__(self, user_agents: UserAgents, hashes: VisitorHashes) -> None:
        self._user_agents = user_agents
        self._hashes = hashes

    def make(self, program: Program, asked: EventRequest, sender: Sender, *, now_ms: int) -> Tracked:
        """The event to store. What `asked` says goes before what the request says by itself.

        The message id is made here, before any attempt to send, so that every attempt carries it.
        """
        traces = traces_of(asked, sender)
        policy = policy_for(program.privacy, sender.signals)
        program_reason = invalid_reason(program, checksum=asked.checksum, now_ms=now_ms)
        sender_reason = self._sender_reason(traces, sender)
        is_unnamed = sender.keeps_cookies and not traces.visitor and not sender_reason
        named = new_visitor() if is_unnamed and allows_cookie(policy) else None
        traces = replace(traces, visitor=named) if named else traces
        traces = self._kept(traces, policy, program.program_id, now_ms)
        reason = sender_reason or program_reason
        reason = reason or flood_reason(program, visitor=traces.visitor, now_ms=now_ms)
        event = _event(program, asked, traces, reason=reason, now_ms=now_ms)
        return Tracked(event, program, program_reason is None, named)

    def _sender_reason(self, traces: Traces, sender: Sender) -> InvalidReason | None:
        if traces.user_agent and self._user_agents.read(traces.user_agent).is_bot:
            return InvalidReason.BOT
        return InvalidReason.PREFETCH if sender.prefetches else None

    def _kept(self, traces: Traces, policy: Privacy, program_id: str, now_ms: int) -> Traces:
        hashed = partial(self._hashes.of, program_id=program_id, now_ms=now_ms)
        return kept(traces, policy, family=self._user_agents.family, hashed=hashed)


def traces_of(asked: EventRequest, sender: Sender) -> Traces:
    """What a request tells of who sent it, as it came: nothing to store, but to answer with."""
    return Traces(
        address=sender.address,
        user_agent=asked.user_agent or sender.user_agent,
        visitor=asked.visitor or sender.visitor,
        referrer=asked.referrer or sender.referrer,
        traceparent=sender.traceparent,
    )


def new_message_id() -> UUID:
    """A UUIDv7. msgspec makes the standard library's kind of it in half the time of its constructor."""
    return msgspec.convert(uuid7().bytes, UUID)


def core_data(program: Program) -> CoreData:
    """The part of a program that goes into each of its events."""
    return CoreData(
        program_id=program.program_id,
        name=program.name,
        customer_id=program.customer_id,
        customer_name=program.customer_name,
        checksum=program.checksum,
        version=program.version,
    )


def _event(
    program: Program, asked: EventRequest, traces: Traces, *, reason: InvalidReason | None, now_ms: int
) -> Event:
    return KINDS[asked.kind](
        message_id=asked.message_id or new_message_id(),
        received_at_ms=now_ms,
        program=core_data(program),
        valid=reason is None,
        reason=reason,
        user_agent=traces.user_agent,
        referrer=traces.referrer,
        visitor=traces.visitor,
        click_id=asked.click_id,
        client_address=written(traces.address) if traces.address else None,
        value=asked.value,
        currency=asked.currency,
        retention_days=program.retention_days,
        traceparent=traces.traceparent,
    )
