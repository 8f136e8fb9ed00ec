"""The Grafana dashboard asks for what trackers and workers tell, and for nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry, ProcessCollector

from schemas.metrics import TRACKER, WORKERS, Kind, Metric

DASHBOARD = Path(__file__).resolve().parents[1] / "docs/grafana/tracker.json"
NAME = re.compile(r"\b(?:tracker|worker|process)_\w+")
LABELS = re.compile(r"by \(([^)]*)\)")
OF_EVERY_SERIES = {"instance", "le"}


def dashboard() -> Any:
    return msgspec.json.decode(DASHBOARD.read_bytes())


def queries() -> Iterator[str]:
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


def series() -> dict[str, tuple[str, ...]]:
    """The labels of each series, by its name."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    own = {name: metric.labels for metric in (*TRACKER, *WORKERS) for name in _names(metric)}
    return own | {sample.name: () for family in registry.collect() for sample in family.samples}


def _names(metric: Metric) -> list[str]:
    endings = ("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",)
    return [metric.name + ending for ending in endings]


@pytest.mark.parametrize("query", sorted(queries()))
def test_a_query_asks_for_what_is_told_by_labels_that_it_has(query: str) -> None:
    known = series()
    asked = NAME.findall(query)
    labels = {label.strip() for group in LABELS.findall(query) for label in group.split(",")}

    assert asked and set(asked) <= known.keys()
    assert labels - OF_EVERY_SERIES <= {label for name in asked for label in known[name]}


def test_counters_are_drawn_as_rates() -> None:
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            for name in NAME.findall(target["expr"]):
                assert not name.endswith(("_total", "_bucket")) or f"rate({name}[" in target["expr"]


def test_no_two_panels_share_a_place_or_an_id() -> None:
    panels = dashboard()["panels"]

    for key in ("id", "title", "gridPos"):
        assert len({str(panel[key]) for panel in panels}) == len(panels)
