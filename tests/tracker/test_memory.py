"""Memory goes back once a buffer that was full is empty."""

import gc
import weakref

from tracker.memory import Memory


class Knot:
    """Garbage that only the collector finds."""

    def __init__(self) -> None:
        self.itself = self


def test_memory_goes_back_once_after_the_buffer_was_full_and_emptied() -> None:
    filled = [0, 10, 24, 25, 100, 6, 5, 5, 0, 30, 0]
    memory = Memory(iter(filled).__next__, limit_bytes=100)

    gave_back = [memory.look() for _ in filled]

    assert [at for at, gave in enumerate(gave_back) if gave] == [6, 10]


def test_what_requests_left_in_cycles_is_gone() -> None:
    filled = iter([100, 0])
    memory = Memory(filled.__next__, limit_bytes=100)
    gc.disable()
    try:
        left = weakref.ref(Knot())

        memory.look()
        assert left() is not None
        memory.look()
        assert left() is None
    finally:
        gc.enable()
