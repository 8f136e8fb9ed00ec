"""Actors: one owner per piece of state, reached only through a bounded mailbox."""

import asyncio
from collections import deque
from typing import Generic, Protocol, TypeVar

from schemas.errors import BufferFullError, DrainingError

Message = TypeVar("Message")
Reply = TypeVar("Reply")
Told = TypeVar("Told", contravariant=True)


class Bound:
    """A limit that several mailboxes may share, in whatever unit their weights have."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def acquire(self, weight: int) -> None:
        """Raises BufferFullError, taking nothing, where `weight` more would pass the limit."""
        if self.used + weight > self.limit:
            raise BufferFullError(f"{self.used} of {self.limit} in use, {weight} more do not fit")
        self.used += weight

    def release(self, weight: int) -> None:
        self.used -= weight


class Waiter(Protocol[Told]):
    """Who waits for a reply: an asyncio.Future, or what costs less. It is told once, and not at all once
    it is done; `cancelled` says that it has stopped waiting, so that mail still in the box is skipped."""

    def cancelled(self) -> bool: ...

    def done(self) -> bool: ...

    def set_result(self, reply: Told, /) -> None: ...

    def set_exception(self, error: Exception, /) -> None: ...


class Envelope(Generic[Message, Reply]):
    """A message on its way, with who waits for its reply, if anybody does."""

    __slots__ = ("message", "reply", "weight")

    def __init__(self, message: Message, weight: int, reply: Waiter[Reply] | None) -> None:
        self.message = message
        self.weight = weight
        self.reply = reply

    @property
    def abandoned(self) -> bool:
        """Whoever asked has stopped waiting."""
        return self.reply is not None and self.reply.cancelled()

    def settle(self, reply: Reply) -> None:
        if self.reply is not None and not self.reply.done():
            self.reply.set_result(reply)

    def fail(self, error: Exception) -> None:
        if self.reply is not None and not self.reply.done():
            self.reply.set_exception(error)


class Actor(Generic[Message, Reply]):
    """Handles its mail in order, one batch at a time; a batch is all that waited.

    Subclasses implement `receive`. Mail whose sender has stopped waiting is skipped. Weights count
    against the bound until their batch is handled, so that what is in flight is bounded too.
    Not thread-safe: one event loop, and one `run` at a time.
    """

    def __init__(self, bound: Bound) -> None:
        self._bound = bound
        self._waiting: deque[Envelope[Message, Reply]] = deque()
        self._in_hand = 0
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    @property
    def held(self) -> int:
        """How many messages wait or are in hand."""
        return len(self._waiting) + self._in_hand

    async def receive(self, batch: list[Envelope[Message, Reply]]) -> None:
        """Handles `batch` and settles its envelopes. What it raises fails all that are not settled."""
        raise NotImplementedError

    def tell(self, message: Message, *, weight: int = 1) -> None:
        """Leaves a message and returns. Raises BufferFullError, or DrainingError once closed."""
        self._post(Envelope(message, weight, None))

    def ask(self, message: Message, *, weight: int = 1) -> "asyncio.Future[Reply]":
        """Leaves a message and returns the future of its reply; cancel it to stop waiting.

        Raises BufferFullError, or DrainingError once closed.
        """
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.ask_for(reply, message, weight=weight)
        return reply

    def ask_for(self, waiter: Waiter[Reply], message: Message, *, weight: int = 1) -> None:
        """Leaves a message whose reply `waiter` is told. Raises as `ask` does."""
        self._post(Envelope(message, weight, waiter))

    async def run(self) -> None:
        """Handles mail until cancelled. An error ends it; mail still waiting stays for the next run.

        Cancelled, it fails what is in hand with DrainingError.
        """
        while True:
            await self._arrived.wait()
            await self._handle(self._take())  # no name for it: an idle actor holds no mail

    def close(self) -> None:
        """Takes no more mail; what waits is still handled."""
        self._closed = True

    async def drained(self) -> None:
        """Returns once nothing waits and nothing is in hand."""
        await self._idle.wait()

    def _take(self) -> list[Envelope[Message, Reply]]:
        batch = list(self._waiting)
        self._waiting.clear()
        self._arrived.clear()
        return batch

    def _post(self, envelope: Envelope[Message, Reply]) -> None:
        if self._closed:
            raise DrainingError("this task is stopping")
        self._bound.acquire(envelope.weight)
        self._waiting.append(envelope)
        self._idle.clear()
        self._arrived.set()

    async def _handle(self, batch: list[Envelope[Message, Reply]]) -> None:
        wanted = [envelope for envelope in batch if not envelope.abandoned]
        self._in_hand = len(batch)
        try:
            if wanted:
                await self.receive(wanted)
        except BaseException as error:
            failure = error if isinstance(error, Exception) else DrainingError("this task is stopping")
            for envelope in wanted:
                envelope.fail(failure)
            raise
        finally:
            self._in_hand = 0
            self._bound.release(sum(envelope.weight for envelope in batch))
            if not self._waiting:
                self._idle.set()
