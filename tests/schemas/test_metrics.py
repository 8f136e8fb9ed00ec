"""Metrics as Prometheus and CloudWatch read them."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from schemas.emf import VALUES_MAX, EmbeddedMetrics, quantiles
from schemas.exposition import exposition
from schemas.metrics import (
    ACKNOWLEDGEMENT,
    EVENTS,
    FRAME_EVENTS,
    FUNCTIONS,
    STALENESS,
    TRACKER,
    WORKER_LAG,
    WORKERS,
    Histogram,
    Kind,
    Metric,
    Reading,
)
from tests.factories import NOW_MS

EVERYTHING = (*TRACKER, *WORKERS, *FUNCTIONS)
NAMING = re.compile(r"[a-z]+(_[a-z0-9]+)+")


def observed(metric: Metric, *values: float) -> Histogram:
    histogram = Histogram(metric)
    for value in values:
        histogram.observe(value)
    return histogram


@pytest.mark.parametrize("metric", EVERYTHING, ids=lambda metric: metric.name)
def test_names_are_as_prometheus_asks_for(metric: Metric) -> None:
    assert NAMING.fullmatch(metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert set(metric.dimensions) <= set(metric.labels)
    assert list(metric.bounds) == sorted(set(metric.bounds))
    assert bool(metric.bounds) == (metric.kind is Kind.HISTOGRAM)
    assert metric.unit in ("Seconds", "Bytes", "Count")


def test_no_two_metrics_go_by_one_name() -> None:
    assert len({metric.name for metric in EVERYTHING}) == len(EVERYTHING)


def test_prometheus_reads_what_is_written() -> None:
    outcome = 'a "quoted" \\ thing\nof two lines'
    text = exposition(
        [
            Reading(EVENTS, 3, ("view", "accepted")),
            Reading(STALENESS, 1.5),
            Reading(EVENTS, 1, ("view", outcome)),
            Reading(ACKNOWLEDGEMENT, observed(ACKNOWLEDGEMENT, 0.001, 0.0015, 60)),
        ]
    )

    families = {family.name: family for family in text_string_to_metric_families(text)}
    events = {each.labels["outcome"]: each.value for each in families["tracker_events"].samples}
    acknowledged = {
        (each.name, each.labels.get("le")): each.value
        for each in families["tracker_acknowledgement_seconds"].samples
    }
    assert events == {"accepted": 3, outcome: 1}
    assert families["tracker_core_data_staleness_seconds"].samples[0].value == 1.5
    assert families["tracker_acknowledgement_seconds"].type == "histogram"
    assert acknowledged["tracker_acknowledgement_seconds_bucket", "0.001"] == 1
    assert acknowledged["tracker_acknowledgement_seconds_bucket", "0.002"] == 2
    assert acknowledged["tracker_acknowledgement_seconds_bucket", "5.0"] == 2
    assert acknowledged["tracker_acknowledgement_seconds_bucket", "+Inf"] == 3
    assert acknowledged["tracker_acknowledgement_seconds_count", None] == 3
    assert acknowledged["tracker_acknowledgement_seconds_sum", None] == pytest.approx(60.0025)


def lines(metrics: EmbeddedMetrics, *readings: Reading) -> list[dict[str, object]]:
    return [msgspec.json.decode(line) for line in metrics.lines(readings, at_ms=NOW_MS)]


@pytest.fixture
def metrics() -> EmbeddedMetrics:
    return EmbeddedMetrics(namespace="Ads", service="tracker")


def test_a_line_is_as_the_embedded_metric_format_has_it(metrics: EmbeddedMetrics) -> None:
    told = lines(metrics, Reading(STALENESS, 1.5), Reading(EVENTS, 3, ("view", "accepted")))

    assert told == [
        {
            "_aws": {
                "Timestamp": NOW_MS,
                "CloudWatchMetrics": [
                    {
                        "Namespace": "Ads",
                        "Dimensions": [["service"]],
                        "Metrics": [{"Name": "tracker_core_data_staleness_seconds", "Unit": "Seconds"}],
                    }
                ],
            },
            "service": "tracker",
            "tracker_core_data_staleness_seconds": 1.5,
        },
        {
            "_aws": {
                "Timestamp": NOW_MS,
                "CloudWatchMetrics": [
                    {
                        "Namespace": "Ads",
                        "Dimensions": [["service"], ["service", "outcome"]],
                        "Metrics": [{"Name": "tracker_events_total", "Unit": "Count"}],
                    }
                ],
            },
            "service": "tracker",
            "outcome": "accepted",
            "tracker_events_total": 3,
        },
    ]


def test_counters_tell_what_is_new_summed_over_what_is_no_dimension(metrics: EmbeddedMetrics) -> None:
    first = lines(metrics, Reading(EVENTS, 3, ("view", "bot")), Reading(EVENTS, 2, ("click", "bot")))
    second = lines(metrics, Reading(EVENTS, 7, ("view", "bot")), Reading(EVENTS, 2, ("click", "bot")))
    third = lines(metrics, Reading(EVENTS, 7, ("view", "bot")), Reading(EVENTS, 2, ("click", "bot")))

    assert [each["tracker_events_total"] for each in first + second + third] == [5, 4]


def test_of_a_gauge_the_greatest_is_told_over_what_is_no_dimension(metrics: EmbeddedMetrics) -> None:
    shards = [Reading(WORKER_LAG, lag_s, ("tally", "events", f"shard-{lag_s}")) for lag_s in (1, 3, 2)]

    (told,) = lines(metrics, *shards)

    assert (told["worker_lag_seconds"], told["reader"]) == (3, "tally")


def test_a_histogram_tells_what_is_new(metrics: EmbeddedMetrics) -> None:
    histogram = observed(FRAME_EVENTS, 1, 1)
    first = lines(metrics, Reading(FRAME_EVENTS, histogram))
    histogram.observe(100)
    second = lines(metrics, Reading(FRAME_EVENTS, histogram))

    assert [len(each["tracker_frame_events"]) for each in first + second] == [2, 1]  # type: ignore[arg-type]
    assert lines(metrics, Reading(FRAME_EVENTS, histogram)) == []


@given(st.lists(st.floats(0, 10_000), min_size=1, max_size=400))
def test_quantiles_are_few_sorted_and_each_in_the_bucket_of_its_rank(values: list[float]) -> None:
    told = quantiles(observed(FRAME_EVENTS, *values))

    assert len(told) == min(len(values), VALUES_MAX)
    assert told == sorted(told)
    assert 0 <= told[0] <= told[-1] <= max(FRAME_EVENTS.bounds)


def test_quantiles_lie_as_what_was_observed_lies() -> None:
    told = quantiles(observed(FRAME_EVENTS, *([1.0] * 900 + [1_500.0] * 100)))

    assert sum(value <= 1 for value in told) == 90
    assert sum(1_000 < value <= 2_000 for value in told) == 10
