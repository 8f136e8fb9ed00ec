"""Reports: a process's metrics as lines of its log, for CloudWatch, as often as it is told."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from schemas.emf import EmbeddedMetrics
from schemas.metrics import Reading
from schemas.settings import ServiceSettings
from workers.runtime.supervisor import Supervisor


@asynccontextmanager
async def reporting(
    readings: Callable[[], Iterable[Reading]], settings: ServiceSettings, *, service: str
) -> AsyncIterator[None]:
    """Reports as the settings say, until it is left; where they name no namespace, not at all."""
    if not settings.metrics_namespace:
        yield
        return
    metrics = EmbeddedMetrics(namespace=settings.metrics_namespace, service=service)
    async with Supervisor() as supervisor:
        reports = Reports(readings, metrics, interval_ms=settings.metrics_interval_ms)
        supervisor.start("reports", reports.run)
        yield


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
