"""Tracking: a request becomes an event with its program's core data, and is sent."""

from collections.abc import Callable, Sequence
from typing import Protocol

from uuid_utils.compat import uuid7

from schemas.errors import MalformedError, ProgramNotFoundError, TrackerError
from schemas.events import KINDS, CoreData, Event
from schemas.programs import Program, invalid_reason, is_program_id
from tracker.requests import REFERRER_MAX_CHARS, USER_AGENT_MAX_CHARS, EventRequest


class Programs(Protocol):
    """Where programs are looked up: see tracker.programs.Programs."""

    async def get(self, program_id: str) -> Program: ...


class Intake(Protocol):
    """Where events go: see tracker.intake.Intake."""

    async def send(self, event: Event) -> None: ...

    async def send_all(self, events: Sequence[Event]) -> list[TrackerError | None]: ...


class Headers(Protocol):
    """A request's headers, by lower-case name."""

    def get(self, name: str, /) -> str | None: ...


class Tracking:
    """Answers what an event is worth, and sends it."""

    def __init__(self, programs: Programs, intake: Intake, clock_ms: Callable[[], int]) -> None:
        self._programs = programs
        self._intake = intake
        self._clock_ms = clock_ms

    async def track(self, program_id: str, asked: EventRequest, headers: Headers) -> Event:
        """One event, acknowledged. Raises what Programs.get and Intake.send raise."""
        event = await self._event(program_id, asked, headers)
        await self._intake.send(event)
        return event

    async def track_all(
        self, items: Sequence[EventRequest | TrackerError], headers: Headers
    ) -> list[Event | TrackerError]:
        """A batch: for each item, in order, its event, acknowledged, or why it is not."""
        outcomes = [await self._outcome(item, headers) for item in items]
        sent = [outcome for outcome in outcomes if not isinstance(outcome, TrackerError)]
        errors = iter(await self._intake.send_all(sent))
        return [
            outcome if isinstance(outcome, TrackerError) else next(errors) or outcome for outcome in outcomes
        ]

    async def _outcome(self, item: EventRequest | TrackerError, headers: Headers) -> Event | TrackerError:
        if isinstance(item, TrackerError):
            return item
        if not item.program_id:
            return MalformedError("programId is missing")
        try:
            return await self._event(item.program_id, item, headers)
        except TrackerError as error:
            return error

    async def _event(self, program_id: str, asked: EventRequest, headers: Headers) -> Event:
        if not is_program_id(program_id):
            raise ProgramNotFoundError("no program can have this id")
        program = await self._programs.get(program_id)
        return make_event(program, asked, headers, now_ms=self._clock_ms())


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
