"""Windows of event time: half-open, in integer milliseconds, aligned to the epoch."""

from typing import NamedTuple

import msgspec


class Window(NamedTuple):
    """From `start_ms` up to, and without, `end_ms`."""

    start_ms: int
    end_ms: int


class Windowing(msgspec.Struct, frozen=True):
    """How time is cut: a window of `size_ms` begins every `step_ms`.

    A window closes once the watermark has passed its end by `lateness_ms`: so late an event may be.
    Raises ValueError for steps that leave gaps, or that would never end.
    """

    size_ms: int
    step_ms: int
    lateness_ms: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.step_ms <= self.size_ms or self.lateness_ms < 0:
            raise ValueError(f"{self} cuts no windows: 0 < step <= size and 0 <= lateness are asked for")

    def windows(self, at_ms: int) -> list[Window]:
        """Every window that holds the moment, oldest first."""
        last = at_ms - at_ms % self.step_ms
        first = last - (self.size_ms - 1 - at_ms % self.step_ms) // self.step_ms * self.step_ms
        return [self.starting(start) for start in range(first, last + 1, self.step_ms)]

    def starting(self, start_ms: int) -> Window:
        return Window(start_ms, start_ms + self.size_ms)

    def is_closed(self, window: Window, watermark_ms: int) -> bool:
        return window.end_ms + self.lateness_ms <= watermark_ms


def tumbling(size_ms: int, *, lateness_ms: int = 0) -> Windowing:
    """Windows one behind the other: each moment is in one."""
    return Windowing(size_ms, size_ms, lateness_ms)


def hopping(size_ms: int, *, step_ms: int, lateness_ms: int = 0) -> Windowing:
    """Windows that overlap: each moment is in about size / step of them."""
    return Windowing(size_ms, step_ms, lateness_ms)
