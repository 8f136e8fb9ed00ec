"""Memory: what a full buffer took goes back to the system once the buffer has emptied."""

import asyncio
import ctypes
import gc
import logging
from collections.abc import Callable

FULL_SHARE = 0.25
EMPTY_SHARE = 0.05
"""Of the buffer's limit."""
LOOK_EVERY_S = 2.0

log = logging.getLogger(__name__)


class Memory:
    """Watches how full a buffer is.

    Python frees what requests leave in cycles only as others come, and the C library keeps what is freed
    for later. After an outage that would be a task's size until it ends.

    Python's own allocator goes on to keep each mebibyte of which one small object is in use, and after an
    outage some object is left in most: about as much stays resident as the buffer was full, and the next
    outage takes it first (tests/faults/test_memory.py). Without that allocator (PYTHONMALLOC=malloc) half
    of it would go back, for a fifth more CPU time on every request.
    """

    def __init__(self, used_bytes: Callable[[], int], *, limit_bytes: int) -> None:
        self._used_bytes = used_bytes
        self._full_bytes = limit_bytes * FULL_SHARE
        self._empty_bytes = limit_bytes * EMPTY_SHARE
        self._was_full = False

    async def run(self) -> None:
        """Looks now and then, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    def look(self) -> bool:
        """Gives memory back where the buffer was full and is empty; whether it did."""
        used_bytes = self._used_bytes()
        self._was_full = self._was_full or used_bytes >= self._full_bytes
        if not self._was_full or used_bytes > self._empty_bytes:
            return False
        self._was_full = False
        give_back()
        return True


def settle() -> None:
    """What is there at the start stays, and the collector need not look at it again; what the start alone
    took goes back to the system."""
    give_back()
    gc.freeze()


def give_back() -> None:
    """Collects garbage, and hands free pages to the system where the C library can (glibc's
    malloc_trim(3))."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
