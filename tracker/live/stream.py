"""Live: what is known now, told to whoever watches, at a bounded rate.

Nothing is followed while nobody watches. All watchers are told at the same beat, and those that are up to
date are told in the same bytes. What a watcher has not been told yet is not kept for it: it is on the
board, and told as it is when its turn comes.
"""

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import NamedTuple, Protocol

import msgspec

from schemas.errors import DrainingError, TooManyWatchersError
from tracker.live.board import Board
from tracker.settings import TrackerSettings
from workers.runtime.backoff import backoff_s
from workers.runtime.supervisor import Supervisor

RETRY_MS = 1_000
"""How long a reader waits before it connects again."""
OPENING = f"retry: {RETRY_MS}\n\n".encode()
HEARTBEAT = b":\n\n"

_REVISION = re.compile(r"[0-9]{1,16}")
_encode = msgspec.json.Encoder().encode


class Follower(Protocol):
    """Keeps a board true: see tracker.live.follower.Follower."""

    def actors(self) -> Mapping[str, Callable[[], Awaitable[None]]]: ...

    def tidy(self) -> None: ...

    @property
    def reading(self) -> bool: ...


class Message(NamedTuple):
    """One event of the stream: what changed up to a revision."""

    revision: int
    data: bytes


class Live:
    """Run it under a supervisor. One event loop."""

    def __init__(
        self, follow: Callable[[Board], Follower], settings: TrackerSettings, clock_ms: Callable[[], int]
    ) -> None:
        self._follow = follow
        self._settings = settings
        self._clock_ms = clock_ms
        self._watchers = 0
        self._closed = False
        self._watched = asyncio.Event()
        self._left = asyncio.Event()
        self._beaten = asyncio.Event()
        self._messages: dict[int, Message] = {}
        self._begin()

    @property
    def watchers(self) -> int:
        """How many watch now."""
        return self._watchers

    async def run(self) -> None:
        """Follows while somebody watches, and for a while after; until cancelled."""
        while True:
            await self._watched.wait()
            async with Supervisor(backoff=lambda: backoff_s(first_s=0.05, most_s=1.0)) as supervisor:
                supervisor.start("live beat", self._beat)
                for name, actor in self._follower.actors().items():
                    supervisor.start(name, actor)
                await self._deserted()
            self._begin()

    def close(self) -> None:
        """Ends every stream; nobody may watch any more."""
        self._closed = True
        self._wake()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Held while somebody watches. Raises TooManyWatchersError, or DrainingError once closed."""
        if self._closed:
            raise DrainingError("this task is stopping")
        if self._watchers >= self._settings.live_watchers_max:
            raise TooManyWatchersError(f"{self._watchers} watch already")
        self._watchers += 1
        self._watched.set()
        try:
            yield
        finally:
            self._watchers -= 1
            if not self._watchers:
                self._watched.clear()
                self._left.set()

    async def stream(self, last_id: str | None = None, *, once: bool = False) -> AsyncGenerator[bytes, None]:
        """Server-sent events: a snapshot, or what changed since `last_id` where that is still known, then
        changes, until closed. With `once` it ends as soon as all is told, and after a heartbeat at the
        latest. Ask within `watching`.
        """
        yield OPENING
        clock_s = asyncio.get_running_loop().time
        ends_s = clock_s() + self._settings.live_heartbeat_ms / 1000
        name, told = self._name, self._told(last_id)
        while not self._closed:
            if name != self._name:
                name, told = self._name, None
            beaten = self._beaten
            if message := self._message(told or 0):
                kind = b"snapshot" if told is None else b"change"
                yield b"id: %b-%d\nevent: %b\ndata: %b\n\n" % (name, message.revision, kind, message.data)
                told = message.revision
                await asyncio.sleep(0)
            elif once and (self._is_complete() or clock_s() >= ends_s):
                return
            elif not await self._is_beaten(beaten):
                yield HEARTBEAT

    def _begin(self) -> None:
        """Anew, with nothing known."""
        self._board = Board()
        self._follower = self._follow(self._board)
        self._name = secrets.token_hex(4).encode()
        self._show()

    def _show(self) -> None:
        """What is on the board now may be told."""
        self._shown = self._board.revision
        self._messages.clear()
        self._wake()

    def _is_complete(self) -> bool:
        return not self._follower.reading and self._shown == self._board.revision

    async def _deserted(self) -> None:
        """Returns once nobody has watched for the linger."""
        while True:
            await self._left.wait()
            self._left.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.live_linger_ms / 1000):
                    await self._watched.wait()
            if not self._watchers:
                return

    async def _beat(self) -> None:
        while True:
            await self._board.changed.wait()
            self._board.changed.clear()
            self._follower.tidy()
            self._show()
            await asyncio.sleep(self._settings.live_interval_ms / 1000)

    def _wake(self) -> None:
        beaten, self._beaten = self._beaten, asyncio.Event()
        beaten.set()

    async def _is_beaten(self, beaten: asyncio.Event) -> bool:
        """Whether the next beat comes before a heartbeat is due."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.live_heartbeat_ms / 1000):
                await beaten.wait()
        return beaten.is_set()

    def _told(self, last_id: str | None) -> int | None:
        """What the reader of an earlier stream was told last; None where that is not known any more."""
        name, _, revision = (last_id or "").partition("-")
        if name.encode() != self._name or not _REVISION.fullmatch(revision):
            return None
        return min(int(revision), self._shown)

    def _message(self, told: int) -> Message | None:
        """What is next for who was told so much: the same bytes for all of them."""
        if told >= self._shown:
            return None
        if told not in self._messages:
            self._messages[told] = self._encoded(told)
        return self._messages[told]

    def _encoded(self, told: int) -> Message:
        sections: dict[str, list[msgspec.Raw]] = {}
        size = 0
        for changed in self._board.since(told, until=self._shown):
            data = _encode(changed.value)
            size += len(data)
            if size > self._settings.live_unsent_max_bytes and sections:
                break
            sections.setdefault(str(changed.key[0]), []).append(msgspec.Raw(data))
            told = changed.revision
        else:
            told = self._shown
        return Message(told, _encode({"atMs": self._clock_ms(), **sections}))
