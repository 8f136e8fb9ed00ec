"""A tracker that serves HTTP, with core data and streams in memory."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, cast
from uuid import UUID

import httpx
from sanic import Sanic

from schemas.errors import TrackerError, UpdateStreamUnavailableError
from schemas.events import Event
from schemas.places import Place
from schemas.programs import Acknowledgement, Totals, Versions
from schemas.redis import Record
from schemas.updates import CachePurged, ProgramChanged, ProgramDeleted, Update
from tests.factories import NOW_MS, VERSION, applied, click, core_data, program, totals
from tests.tracker.documented import DocumentedClient
from tests.tracker.ports import Clock, FakeLevel, tracker_settings
from tracker.app import create_app
from tracker.catalog import Catalog, Page
from tracker.changes import Changes
from tracker.connections import Connection
from tracker.frames import SentFrames
from tracker.intake import Intake, Lane, Offer
from tracker.live.board import Board
from tracker.live.entries import State
from tracker.live.stream import Live
from tracker.openapi import MESSAGE_ID
from tracker.programs import Programs
from tracker.pulse import Pulse
from tracker.services import Services, make_tracking
from tracker.settings import TrackerSettings
from tracker.signatures import Signatures
from tracker.stored import EventPage, Span
from tracker.totals import TotalsReader
from workers.runtime.actor import Waiter

ID = "212313"
SECRET = "s" * 32
TOKEN = {"authorization": "Bearer secret"}
BODY = {"name": "renamed", "customerId": 9124, "customerName": "Customer2", "checksum": "124"}


class FakeIntake:
    """Keeps what it is sent, or refuses what it is told to."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.acks: list[Acknowledgement | None] = []
        self.refusals: dict[str, TrackerError] = {}
        self.accepting = True
        self.buffered_bytes = 0
        self.lanes: list[Lane] = []
        self.frames = SentFrames()

    async def send(self, event: Event, *, ack: Acknowledgement | None = None) -> None:
        error = self.offer(event, ack=ack)
        if isinstance(error, TrackerError):
            raise error

    def post(self, event: Event, waiter: Waiter[None], *, ack: Acknowledgement | None = None) -> None:
        error = self.offer(event, ack=ack)
        if isinstance(error, TrackerError):
            raise error
        waiter.set_result(None)

    def offer(self, event: Event, *, ack: Acknowledgement | None = None) -> Offer:
        self.acks.append(ack)
        refusal = self.refusals.get(event.visitor or "")
        if refusal is None:
            self.events.append(event)
        return refusal

    async def acknowledged(self, offers: Sequence[Offer]) -> list[TrackerError | None]:
        return [offer if isinstance(offer, TrackerError) else None for offer in offers]


class Loopback:
    """An update stream whose `refresh` applies each update at once, unless it is cut."""

    def __init__(self, truth: FakeLevel) -> None:
        self.truth = truth
        self.programs: Programs
        self.sent: list[Update] = []
        self.down = False
        self.cut = False

    async def send(self, updates: Sequence[Update]) -> None:
        if self.down:
            raise UpdateStreamUnavailableError("down")
        self.sent += updates
        for update in updates if not self.cut else ():
            self._apply(update)

    def _apply(self, update: Update) -> None:
        match update:
            case ProgramChanged(program=changed):
                self._keep(changed.program_id, Record(changed.version, applied(changed)))
            case ProgramDeleted(program_id=program_id, version=version):
                self._keep(program_id, Record(version, None))
            case CachePurged(version=version):
                self.programs.purge(version)

    def _keep(self, program_id: str, record: Record) -> None:
        self.truth.records[program_id] = record
        self.programs.apply(program_id, record)


class FakeTotals:
    async def read(self, program_id: str) -> Totals:
        return totals()

    async def read_all(self, program_ids: Sequence[str]) -> list[Totals]:
        return [totals() for _ in program_ids]


class FakeStored:
    """One stored event of the sample program; keeps what it was asked."""

    def __init__(self) -> None:
        self.event = click(
            message_id=MESSAGE_ID,
            received_at_ms=1_795_477_946_560,
            program=core_data(version=1_795_477_946_559_466),
            visitor="v1",
            click_id=None,
        )
        self.asked: list[tuple[Span, int, Place | None]] = []
        self.last: Place | None = None

    async def page(self, program_id: str, *, span: Span, limit: int, before: Place | None) -> EventPage:
        self.asked.append((span, limit, before))
        return EventPage([self.event] if program_id == ID else [], self.last)

    async def find(self, program_id: str, message_id: UUID) -> Event | None:
        return self.event if (program_id, message_id) == (ID, MESSAGE_ID) else None


class FakeCatalog:
    def __init__(self, truth: FakeLevel) -> None:
        self.truth = truth

    async def page(self, *, limit: int, cursor: str | None) -> Page:
        known = sorted(self.truth.records)
        after = [program_id for program_id in known if cursor is None or program_id > cursor]
        found = [self.truth.records[program_id].program for program_id in after[:limit]]
        return Page([each for each in found if each], after[limit - 1] if len(after) > limit else None)


class FakeFollower:
    """A board that is complete: that nobody has written anything on, but the test."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.reading = False
        self.tidied = 0
        board.put(("state",), State(task="this", linked=True, since_ms=NOW_MS, reading=False, full=False))

    def actors(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        return {}

    def tidy(self) -> None:
        self.tidied += 1


class Tracker:
    """A tracker's ports and a client that talks to it."""

    def __init__(self, settings: TrackerSettings, clock: Clock) -> None:
        self.truth = FakeLevel()
        self.set_program()
        self.updates = Loopback(self.truth)
        self.intake = FakeIntake()
        self.stored = FakeStored()
        self.programs = self.updates.programs = Programs(FakeLevel(), self.truth, settings, clock)
        self.programs.link_up()
        self.services = Services(
            settings=settings,
            intake=cast(Intake, self.intake),
            programs=self.programs,
            tracking=make_tracking(self.programs, self.intake, settings, clock_ms=clock),
            catalog=cast(Catalog, FakeCatalog(self.truth)),
            totals=cast(TotalsReader, FakeTotals()),
            stored=self.stored,
            changes=Changes(self.programs, self.updates, Versions(), timeout_ms=settings.apply_timeout_ms),
            signatures=Signatures(settings.secret, window_s=settings.postback_window_s, clock_ms=clock),
            pulse=Pulse(),
            live=Live(FakeFollower, settings, clock),
        )
        self.client: httpx.AsyncClient
        self.app: Sanic[Any, Any]

    def set_program(self, **fields: Any) -> None:
        self.truth.records[ID] = Record(VERSION, applied(program(**fields)))


class Serve(Protocol):
    """Starts a tracker with settings given by field: see `serving`."""

    def __call__(self, **fields: Any) -> AbstractAsyncContextManager[Tracker]: ...


@asynccontextmanager
async def serving(**fields: Any) -> AsyncIterator[Tracker]:
    """A tracker with these settings, listening, and a client that talks to it."""
    settings = tracker_settings(**({"drain_delay_ms": 0, "secret": SECRET} | fields))
    tracker = Tracker(settings, Clock())

    @asynccontextmanager
    async def open_services(_: TrackerSettings) -> AsyncIterator[Services]:
        yield tracker.services

    tracker.app = create_app(settings, open_services=open_services)
    tracker.app.config.TOUCHUP = False  # rewrites Sanic's classes, which only works once in a process
    async with listening(tracker.app) as url, DocumentedClient(base_url=url) as tracker.client:
        yield tracker


@asynccontextmanager
async def listening(app: Sanic[Any, Any]) -> AsyncIterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))  # Sanic takes port 0 for its own default
    server: Any = await app.create_server(sock=listener, protocol=Connection)
    await server.startup()
    await server.before_start()
    await server.start_serving()
    host, port = server.server.sockets[0].getsockname()
    app.ctx.connections = server.connections
    try:
        yield f"http://{host}:{port}"
    finally:
        await server.before_stop()
        await server.close()
        for connection in server.connections:
            connection.close_if_idle()
        await server.after_stop()
        Sanic.unregister_app(app)


def assert_problem(answer: httpx.Response, status: int, reason: str) -> None:
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
