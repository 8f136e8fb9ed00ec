"""Tracking: a request becomes an event with its program's core data, and is sent."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

from schemas.errors import MalformedError, OriginError, ProgramNotFoundError, TrackerError
from schemas.events import Event
from schemas.programs import Acknowledgement, Program, is_program_id
from tracker.addresses import Address
from tracker.events import EventMaker, Tracked
from tracker.intake import Offer
from tracker.requests import EventRequest
from tracker.sender import Sender
from workers.runtime.actor import Waiter


class Receipt(NamedTuple):
    """What a client is told of an event of a batch."""

    message_id: UUID
    valid: bool
    reason: str | None


class Programs(Protocol):
    """Where programs are looked up: see tracker.programs.Programs."""

    async def get(self, program_id: str) -> Program: ...

    def held(self, program_id: str) -> Program | None: ...


class Intake(Protocol):
    """Where events go: see tracker.intake.Intake."""

    async def send(self, event: Event, *, ack: Acknowledgement | None = None) -> None: ...

    def post(self, event: Event, waiter: Waiter[None], *, ack: Acknowledgement | None = None) -> None: ...

    def offer(self, event: Event, *, ack: Acknowledgement | None = None) -> Offer: ...

    async def acknowledged(self, offers: Sequence[Offer]) -> list[TrackerError | None]: ...


class Limits(Protocol):
    """What refuses too many: see tracker.limits.Limits."""

    def admit(self, address: Address | None) -> None: ...

    def admit_to(self, program: Program, address: Address | None) -> None: ...


class Tracking:
    """The one way from a request to an event that is sent: limits, core data, bots, privacy."""

    def __init__(
        self,
        programs: Programs,
        intake: Intake,
        limits: Limits,
        maker: EventMaker,
        *,
        clock_ms: Callable[[], int],
    ) -> None:
        self._programs = programs
        self._intake = intake
        self._limits = limits
        self._maker = maker
        self._clock_ms = clock_ms

    async def track(self, program_id: str, asked: EventRequest, sender: Sender) -> Tracked:
        """One event, acknowledged. Raises ProgramNotFoundError, OriginError, RateLimitedError, and what
        Programs.get and Intake.send raise."""
        tracked = await self._made(program_id, asked, sender)
        await self._intake.send(tracked.event, ack=tracked.program.ack)
        return tracked

    async def track_all(
        self, items: Iterable[EventRequest | TrackerError], sender: Sender
    ) -> list[Receipt | TrackerError]:
        """A batch: for each item, in order, its receipt, once acknowledged, or why there is none.

        While it waits it holds none of the items nor their events: iterate lazily to hold one at a time.
        """
        taken = await self._taken(items, sender)
        errors = await self._intake.acknowledged([offer for _, offer in taken])
        return [error or receipt for error, (receipt, _) in zip(errors, taken, strict=True)]

    def make(self, program_id: str, asked: EventRequest, sender: Sender) -> Tracked | None:
        """An event that is still to be sent, of a program in memory; None where `track` has to wait for
        it. Raises OriginError, RateLimitedError."""
        program = self._programs.held(program_id)
        if program is None:
            return None
        self._limits.admit(sender.address)
        return self._made_for(program, asked, sender)

    def send(self, tracked: Tracked, waiter: Waiter[None]) -> None:
        """Sends what `make` made. Raises what Intake.post raises."""
        self._intake.post(tracked.event, waiter, ack=tracked.program.ack)

    async def _taken(
        self, items: Iterable[EventRequest | TrackerError], sender: Sender
    ) -> list[tuple[Receipt | TrackerError, Offer]]:
        taken: list[tuple[Receipt | TrackerError, Offer]] = []
        for item in items:
            try:
                tracked = self._made_now(item, sender) or await self._made_of(item, sender)
                taken.append(self._offered(tracked))
            except TrackerError as error:
                taken.append((error.with_traceback(None), None))
        return taken

    def _offered(self, tracked: Tracked) -> tuple[Receipt, Offer]:
        event = tracked.event
        receipt = Receipt(event.message_id, event.valid, event.reason)
        return receipt, self._intake.offer(event, ack=tracked.program.ack)

    def _made_now(self, item: EventRequest | TrackerError, sender: Sender) -> Tracked | None:
        return None if isinstance(item, TrackerError) else self.make(item.program_id, item, sender)

    async def _made_of(self, item: EventRequest | TrackerError, sender: Sender) -> Tracked:
        if isinstance(item, TrackerError):
            raise item
        if not item.program_id:
            raise MalformedError("programId is missing")
        return await self._made(item.program_id, item, sender)

    async def _made(self, program_id: str, asked: EventRequest, sender: Sender) -> Tracked:
        if not is_program_id(program_id):
            raise ProgramNotFoundError("no program can have this id")
        self._limits.admit(sender.address)
        return self._made_for(await self._programs.get(program_id), asked, sender)

    def _made_for(self, program: Program, asked: EventRequest, sender: Sender) -> Tracked:
        check_origin(program, sender.origin)
        self._limits.admit_to(program, sender.address)
        return self._maker.make(program, asked, sender, now_ms=self._clock_ms())


def check_origin(program: Program, origin: str | None) -> None:
    """Raises OriginError for a page that may not send events of `program`. Only browsers name an
    origin, and always do so where a page sends to another one."""
    if origin is not None and program.origins is not None and origin not in program.origins:
        raise OriginError(f"program {program.program_id} takes no events from pages of this origin")
