"""Readings as Prometheus reads them: its text format, version 0.0.4 (prometheus.io, "Exposition formats")."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from schemas.metrics import Histogram, Metric, Reading

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})


def exposition(readings: Iterable[Reading]) -> str:
    """A block for each metric, with all its readings."""
    blocks: dict[Metric, list[Reading]] = {}
    for reading in readings:
        blocks.setdefault(reading.metric, []).append(reading)
    return "".join(f"{line}\n" for metric, block in blocks.items() for line in _lines(metric, block))


def _lines(metric: Metric, readings: Sequence[Reading]) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.meaning.translate(_HELP_ESCAPES)}"
    yield f"# TYPE {metric.name} {metric.kind}"
    for reading in readings:
        labels = list(zip(metric.labels, reading.labels, strict=True))
        if isinstance(reading.value, Histogram):
            yield from _histogram(metric.name, reading.value, labels)
        else:
            yield _sample(metric.name, labels, reading.value)


def _histogram(name: str, histogram: Histogram, labels: list[tuple[str, str]]) -> Iterator[str]:
    bounds = [*(str(float(bound)) for bound in histogram.bounds), "+Inf"]
    cumulative = list(accumulate(histogram.counts))
    for bound, count in zip(bounds, cumulative, strict=True):
        yield _sample(f"{name}_bucket", [*labels, ("le", bound)], count)
    yield _sample(f"{name}_sum", labels, histogram.sum)
    yield _sample(f"{name}_count", labels, cumulative[-1])


def _sample(name: str, labels: list[tuple[str, str]], value: float) -> str:
    told = ",".join(f'{label}="{text.translate(_ESCAPES)}"' for label, text in labels)
    return f"{name}{{{told}}} {float(value)!r}" if told else f"{name} {float(value)!r}"
