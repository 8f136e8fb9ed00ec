"""Confirmations: whoever sent many events at once waits for all of them in one go."""

import asyncio
from collections.abc import Sequence


class Confirmation:
    """The waiter (workers.runtime.actor.Waiter) of one event among many: what became of it, in the end."""

    __slots__ = ("_all", "_done", "_gave_up", "error")

    def __init__(self) -> None:
        self._done = self._gave_up = False
        self._all: Countdown | None = None
        self.error: Exception | None = None

    def done(self) -> bool:
        return self._done

    def cancelled(self) -> bool:
        """Whether it was given up before it came."""
        return self._gave_up

    def set_result(self, _: None) -> None:
        self._done = True
        if self._all is not None:
            self._all.one_less()

    def set_exception(self, error: Exception) -> None:
        self.error = error
        self.set_result(None)

    def tell(self, countdown: "Countdown") -> None:
        self._all = countdown

    def give_up(self) -> None:
        self._done = self._gave_up = True


class Countdown:
    """Done once so many confirmations have come."""

    def __init__(self, count: int) -> None:
        self._left = count
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def one_less(self) -> None:
        self._left -= 1
        if not self._left and not self.done.done():
            self.done.set_result(None)


async def settled(confirmations: Sequence[Confirmation], *, timeout_s: float) -> None:
    """Returns once each is done; those that are not in time are given up."""
    waiting = [each for each in confirmations if not each.done()]
    if not waiting:
        return
    countdown = Countdown(len(waiting))
    for each in waiting:
        each.tell(countdown)
    await asyncio.wait([countdown.done], timeout=timeout_s)
    for each in waiting:
        if not each.done():
            each.give_up()
