"""Sinks: where an agent's results go. They go out before the commit, so a sink must be idempotent."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from workers.runtime.puts import Entry, Puts

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Outlet(Protocol[T_contra]):
    """What takes the results of a sink: bound to it when the worker starts."""

    async def __call__(self, results: Sequence[T_contra], /) -> None:
        """Returns once they are durable. Raises UnavailableError, and is then given them again.

        After a kill it is given them again too, perhaps in other company.
        """


class StreamOutlet(Generic[T]):
    """Puts each result on a Kinesis stream, as the record that `entry` makes of it."""

    def __init__(self, puts: Puts, stream: str, entry: Callable[[T], Entry]) -> None:
        self._puts = puts
        self._stream = stream
        self._entry = entry

    async def __call__(self, results: Sequence[T], /) -> None:
        await self._puts.put(self._stream, [self._entry(result) for result in results])


class Sink(Generic[T]):
    """Collects what an agent sends until the next commit. An agent names it as a parameter:

    async def guard(stream: Stream[Event], updates: Sink[Update]) -> None: ...
    """

    def __init__(self, outlet: Outlet[Any]) -> None:
        self._outlet = outlet
        self._waiting: list[T] = []
        self._kept = 0

    def send(self, result: T) -> None:
        """It goes out with the next commit, in the order sent; not at all where its event fails."""
        self._waiting.append(result)

    @property
    def is_waiting(self) -> bool:
        return self._kept > 0

    def keep(self) -> None:
        self._kept = len(self._waiting)

    def roll_back(self) -> None:
        del self._waiting[self._kept :]

    async def flush(self) -> None:
        if self._kept:
            await self._outlet(self._waiting[: self._kept])
        del self._waiting[: self._kept]
        self._kept = 0
