"""Reports: a process's metrics as lines of its log, for CloudWatch, as often as it is told."""

import asyncio
import time
from collections.abc import Callable, Iterable

from schemas.emf import EmbeddedMetrics
from schemas.metrics import Reading


class Reports:
    """Writes what `readings` says."""

    def __init__(
        self,
        readings: Callable[[], Iterable[Reading]],
        metrics: EmbeddedMetrics,
        *,
        interval_ms: int,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        write: Callable[[str], object] = lambda line: print(line, flush=True),
    ) -> None:
        self._readings = readings
        self._metrics = metrics
        self._interval_s = interval_ms / 1000
        self._clock_ms = clock_ms
        self._write = write

    async def run(self) -> None:
        """Reports until cancelled, and then once more."""
        try:
            while True:
                await asyncio.sleep(self._interval_s)
                self.report()
        finally:
            self.report()

    def report(self) -> None:
        for line in self._metrics.lines(self._readings(), at_ms=self._clock_ms()):
            self._write(line)
