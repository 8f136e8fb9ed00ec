"""Tracking: a request becomes an event with its program's core data, and is sent."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from uuid_utils.compat import uuid7

from schemas.errors import MalformedError, OriginError, ProgramNotFoundError, TrackerError
from schemas.events import KINDS, CoreData, Event
from schemas.programs import Acknowledgement, Program, invalid_reason, is_program_id
from tracker.requests import REFERRER_MAX_CHARS, USER_AGENT_MAX_CHARS, EventRequest


class Programs(Protocol):
    """Where programs are looked up: see tracker.programs.Programs."""

    async def get(self, program_id: str) -> Program: ...


class Intake(Protocol):
    """Where events go: see tracker.intake.Intake."""

    async def send(self, event: Event, *, ack: Acknowledgement | None = None) -> None: ...

    async def send_all(
        self, events: Sequence[Event], *, acks: Iterable[Acknowledgement | None]
    ) -> list[TrackerError | None]: ...


class Headers(Protocol):
    """A request's headers, by lower-case name."""

    def get(self, name: str, /) -> str | None: ...


class Sending(NamedTuple):
    """An event to send, and how its program wants it acknowledged."""

    event: Event
    ack: Acknowledgement | None


class Tracking:
    """Answers what an event is worth, and sends it."""

    def __init__(self, programs: Programs, intake: Intake, clock_ms: Callable[[], int]) -> None:
        self._programs = programs
        self._intake = intake
        self._clock_ms = clock_ms

    async def track(self, program_id: str, asked: EventRequest, headers: Headers) -> Event:
        """One event, acknowledged. Raises what Programs.get and Intake.send raise."""
        event, ack = await self._sending(program_id, asked, headers)
        await self._intake.send(event, ack=ack)
        return event

    async def track_all(
        self, items: Sequence[EventRequest | TrackerError], headers: Headers
    ) -> list[Event | TrackerError]:
        """A batch: for each item, in order, its event, acknowledged, or why it is not."""
        outcomes = [await self._outcome(item, headers) for item in items]
        sent = [outcome for outcome in outcomes if not isinstance(outcome, TrackerError)]
        events, acks = [each.event for each in sent], [each.ack for each in sent]
        errors = iter(await self._intake.send_all(events, acks=acks))
        return [
            outcome if isinstance(outcome, TrackerError) else next(errors) or outcome.event
            for outcome in outcomes
        ]

    async def _outcome(self, item: EventRequest | TrackerError, headers: Headers) -> Sending | TrackerError:
        if isinstance(item, TrackerError):
            return item
        if not item.program_id:
            return MalformedError("programId is missing")
        try:
            return await self._sending(item.program_id, item, headers)
        except TrackerError as error:
            return error

    async def _sending(self, program_id: str, asked: EventRequest, headers: Headers) -> Sending:
        if not is_program_id(program_id):
            raise ProgramNotFoundError("no program can have this id")
        program = await self._programs.get(program_id)
        check_origin(program, headers)
        return Sending(make_event(program, asked, headers, now_ms=self._clock_ms()), program.ack)


def check_origin(program: Program, headers: Headers) -> None:
    """Raises OriginError for a page that may not send events of `program`. Only browsers name an
    origin, and always do so where a page sends to another one."""
    origin = headers.get("origin")
    if origin is not None and program.origins is not None and origin not in program.origins:
        raise OriginError(f"program {program.program_id} takes no events from pages of this origin")


def make_event(program: Program, asked: EventRequest, headers: Headers, *, now_ms: int) -> Event:
    """The event to store. What `asked` says of user agent and referrer goes before the headers.

    The message id is made here, before any attempt to send, so that every attempt carries it.
    """
    reason = invalid_reason(program, checksum=asked.checksum, now_ms=now_ms)
    return KINDS[asked.kind](
        message_id=asked.message_id or uuid7(),
        received_at_ms=now_ms,
        program=core_data(program),
        valid=reason is None,
        reason=reason,
        user_agent=asked.user_agent or _header(headers, "user-agent", USER_AGENT_MAX_CHARS),
        referrer=asked.referrer or _header(headers, "referer", REFERRER_MAX_CHARS),
        visitor=asked.visitor,
        click_id=asked.click_id,
        value=asked.value,
        currency=asked.currency,
    )


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


def _header(headers: Headers, name: str, max_chars: int) -> str | None:
    """A header as text that can be stored: cut, since it must not cost the event, and with what is
    not UTF-8 replaced, since HTTP lets any byte through."""
    value = headers.get(name)
    if value is None or value.isascii():
        return value and value[:max_chars]
    return value.encode("utf-8", "replace").decode()[:max_chars]
