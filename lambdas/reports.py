"""Reports: what a batch came to, as lines of the function's log that CloudWatch takes metrics from."""

import time
from collections.abc import Callable, Sequence

from lambdas.batch import Record
from schemas.emf import EmbeddedMetrics
from schemas.health import Lag
from schemas.metrics import FUNCTION_EVENTS, FUNCTION_LAG, FUNCTION_RECORDS, Reading
from schemas.settings import ServiceSettings


class Reports:
    """Of one function. Says nothing where the settings name no namespace. Any thread may report."""

    def __init__(
        self,
        settings: ServiceSettings,
        service: str,
        *,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        write: Callable[[str], object] = print,
    ) -> None:
        self._namespace = settings.metrics_namespace
        self._service = service
        self._clock_ms = clock_ms
        self._write = write

    def batch(self, records: Sequence[Record], unapplied: Record | None) -> Record | None:
        """Tells how many records were applied, and how old they were by then. Returns `unapplied`."""
        applied = len(records) if unapplied is None else records.index(unapplied)
        self._tell(
            Reading(FUNCTION_RECORDS, applied, ("applied",)),
            Reading(FUNCTION_RECORDS, len(records) - applied, ("left",)),
            Reading(FUNCTION_LAG, self._age_ms(records, self._clock_ms()) / 1000),
        )
        return unapplied

    def lag(self, records: Sequence[Record]) -> Lag:
        """How far behind the function is, done with a batch that is not empty."""
        now_ms = self._clock_ms()
        return Lag(
            reader=self._service,
            stream=records[0].stream,
            shard_id=records[0].shard_id,
            lag_ms=self._age_ms(records, now_ms),
            at_ms=now_ms,
        )

    def events(self, *, stored: int, set_aside: int) -> None:
        """Tells what became of a batch's events. What was stored before counts as stored."""
        self._tell(
            Reading(FUNCTION_EVENTS, stored, ("stored",)),
            Reading(FUNCTION_EVENTS, set_aside, ("set_aside",)),
        )

    def _age_ms(self, records: Sequence[Record], now_ms: int) -> int:
        oldest_ms = min((record.arrived_at_ms for record in records), default=now_ms)
        return max(0, now_ms - oldest_ms)

    def _tell(self, *readings: Reading) -> None:
        if not self._namespace:
            return
        metrics = EmbeddedMetrics(namespace=self._namespace, service=self._service)
        for line in metrics.lines(readings, at_ms=self._clock_ms()):
            self._write(line)
