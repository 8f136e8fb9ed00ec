"""Cores: what is measured has one to itself, as a task has its vCPU, and what loads it shares the others.

Where the kernel chooses, it puts a client and a server now on one core, where to wake the other is cheap, and
now on two: the same route then takes half as much again.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Cores:
    """Those that this process may use."""

    def __init__(self, every: set[int]) -> None:
        self._every = every
        self._first = {min(every)}
        self._others = every - self._first or every

    def give_first(self, pid: int) -> None:
        """To a process that has just been started: its threads inherit it."""
        os.sched_setaffinity(pid, self._first)

    def keep_off(self) -> None:
        """This process, and what it starts."""
        os.sched_setaffinity(0, self._others)

    def free(self, pid: int = 0) -> None:
        os.sched_setaffinity(pid, self._every)

    @contextmanager
    def shared(self, pids: Iterable[int]) -> Iterator[None]:
        """Within the block the kernel chooses."""
        for pid in (0, *pids):
            self.free(pid)
        yield
        self.keep_off()
        for pid in pids:
            self.give_first(pid)


@contextmanager
def first_kept_free() -> Iterator[Cores]:
    cores = Cores(os.sched_getaffinity(0))
    cores.keep_off()
    try:
        yield cores
    finally:
        cores.free()
