"""Readings as CloudWatch reads them out of a log: lines in the embedded metric format.

Amazon CloudWatch User Guide, "Specification: Embedded metric format". CloudWatch adds up what many tasks tell
it, and knows nothing of counters that only grow: it is told what came since the line before.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import accumulate

import msgspec

from schemas.metrics import Histogram, Kind, Metric, Reading

VALUES_MAX = 100
"""What a metric may hold in one line."""
SERVICE = "service"

Dimensions = tuple[tuple[str, str], ...]
Told = dict[Metric, float | Histogram]


class EmbeddedMetrics:
    """Makes lines of readings, each time of what is new."""

    def __init__(self, *, namespace: str, service: str) -> None:
        self._namespace = namespace
        self._service = service
        self._before: dict[tuple[Metric, tuple[str, ...]], float | Histogram] = {}

    def lines(self, readings: Iterable[Reading], *, at_ms: int) -> Iterator[str]:
        """One JSON object for each combination of dimensions; a metric without news is left out."""
        told: defaultdict[Dimensions, Told] = defaultdict(dict)
        for metric, value, labels in readings:
            news = self._news(metric, value, labels)
            group = told[_dimensions(metric, labels)]
            group[metric] = _merged(metric, group.get(metric), news)
        for dimensions, values in told.items():
            if document := self._document(dict(dimensions), values, at_ms):
                yield msgspec.json.encode(document).decode()

    def _news(self, metric: Metric, value: float | Histogram, labels: tuple[str, ...]) -> float | Histogram:
        if metric.kind is Kind.GAUGE:
            return value
        before = self._before.get((metric, labels))
        self._before[metric, labels] = value.copy() if isinstance(value, Histogram) else value
        return value if before is None else value - before  # type: ignore[operator]

    def _document(self, dimensions: dict[str, str], values: Told, at_ms: int) -> dict[str, object]:
        members = {metric: _member(metric, value) for metric, value in values.items()}
        news = {metric: member for metric, member in members.items() if member is not None}
        if not news:
            return {}
        sets = [[SERVICE], [SERVICE, *dimensions]] if dimensions else [[SERVICE]]
        directive = {
            "Namespace": self._namespace,
            "Dimensions": sets,
            "Metrics": [{"Name": metric.name, "Unit": metric.unit} for metric in news],
        }
        document: dict[str, object] = {"_aws": {"Timestamp": at_ms, "CloudWatchMetrics": [directive]}}
        document |= {SERVICE: self._service, **dimensions}
        return document | {metric.name: member for metric, member in news.items()}


def quantiles(histogram: Histogram) -> list[float]:
    """At most VALUES_MAX values that are spread as what was observed: its percentiles, as near as its
    bounds tell them."""
    ends = list(accumulate(histogram.counts))
    size = min(ends[-1], VALUES_MAX)
    return [_at_rank(histogram, ends, (index + 0.5) * ends[-1] / size) for index in range(size)]


def _at_rank(histogram: Histogram, ends: list[int], rank: float) -> float:
    """Between the bounds of the rank's bucket, as if those in it were spread evenly."""
    bucket = next(index for index, end in enumerate(ends) if rank <= end)
    if bucket == len(histogram.bounds):
        return histogram.bounds[-1]
    low = histogram.bounds[bucket - 1] if bucket else 0.0
    share = 1 - (ends[bucket] - rank) / histogram.counts[bucket]
    return low + share * (histogram.bounds[bucket] - low)


def _dimensions(metric: Metric, labels: tuple[str, ...]) -> Dimensions:
    named = zip(metric.labels, labels, strict=True)
    return tuple((label, text) for label, text in named if label in metric.dimensions)


def _merged(metric: Metric, held: float | Histogram | None, news: float | Histogram) -> float | Histogram:
    """Over labels that are no dimensions: a counter's sum, a gauge's greatest. Histograms have no labels."""
    if held is None or isinstance(news, Histogram) or isinstance(held, Histogram):
        return news
    return held + news if metric.kind is Kind.COUNTER else max(held, news)


def _member(metric: Metric, value: float | Histogram) -> float | list[float] | None:
    if isinstance(value, Histogram):
        return quantiles(value) or None
    return None if metric.kind is Kind.COUNTER and not value else value
