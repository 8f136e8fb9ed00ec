"""Latencies in buckets that grow by a hundredth: as exact at 1 ms as at 10 s, and small to send."""

import math
from collections.abc import Iterator, Mapping
from itertools import accumulate

from msgspec import Struct, field

GROWTH = 1.01
LEAST_MS = 0.01


class Bar(Struct, frozen=True):
    """How many values are at least `from_ms` and below `to_ms`."""

    from_ms: float
    to_ms: float
    count: int


class Histogram(Struct):
    """Counts by bucket. Its percentiles are at most a hundredth above the true ones."""

    counts: dict[int, int] = field(default_factory=dict)

    def add(self, value_ms: float) -> None:
        bucket = math.ceil(math.log(max(value_ms, LEAST_MS) / LEAST_MS) / math.log(GROWTH))
        self.counts[bucket] = self.counts.get(bucket, 0) + 1

    def merge(self, other: "Histogram") -> None:
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count

    def since(self, before: "Histogram") -> "Histogram":
        """What came after `before`, an earlier state of this one."""
        gained = {bucket: count - before.counts.get(bucket, 0) for bucket, count in self.counts.items()}
        return Histogram({bucket: count for bucket, count in gained.items() if count})

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def percentile(self, share: float) -> float:
        """The value that `share` of all do not exceed; 0 for none."""
        rank = max(1, math.ceil(share * self.total))
        buckets = sorted(self.counts)
        for bucket, seen in zip(buckets, accumulate(map(self.counts.__getitem__, buckets)), strict=True):
            if seen >= rank:
                return _most_ms(bucket)
        return 0.0

    def bars(self, most: int) -> list[Bar]:
        """At most so many, of equal width on a logarithmic scale, from the least value to the greatest."""
        if not self.counts:
            return []
        first, last = min(self.counts), max(self.counts)
        width = math.ceil((last - first + 1) / most)
        return list(_bars(self.counts, range(first, last + 1, width)))


def _bars(counts: Mapping[int, int], starts: range) -> Iterator[Bar]:
    for start in starts:
        held = sum(counts.get(bucket, 0) for bucket in range(start, start + starts.step))
        yield Bar(_most_ms(start - 1), _most_ms(start + starts.step - 1), held)


def _most_ms(bucket: int) -> float:
    return float(LEAST_MS * GROWTH**bucket)
