"""What watching a deployment costs in a month: alarms, metrics, the dashboard and logs, all of CloudWatch."""

from collections.abc import Iterable, Iterator

from cdk import prices
from cdk.defaults import DEFAULT_FAILURES_MS
from cdk.lines import GB, SECONDS, Line
from cdk.traffic import Traffic
from schemas import metrics
from schemas.metrics import Metric

ALARM_METRICS, ALARM_METRICS_OF_A_NODE = 36, 2
"""What the templates' alarms look at, besides what they look at on each node of Redis."""
TRACKING_POLICIES, ALARMS_OF_A_POLICY = 3, 2
"""Target tracking makes its alarms itself, one to scale out and one to scale in (Amazon ECS Developer Guide,
"Use a target metric to scale Amazon ECS services")."""
FILTER_METRICS = 2
"""Made of lines of the trackers' log."""
BUCKET_METRICS = 7
"""Of requests to the bucket of what failed, which the workers make all the time: all, lists, errors of either
kind, bytes down and two latencies."""
INSIGHTS_METRICS = 8 + 2 * 11 + 2 * 6
"""Of Container Insights: for a cluster, for each of two services and for each of two kinds of task."""
DIMENSION_VALUES = {"level": 3, "outcome": 3, "reason": 1, "status": 3, "reader": 5}
"""How many values each dimension takes in a deployment that is well. Every one is a metric of its own."""

TRACKER_LOG_BYTES_S, WORKER_LOG_BYTES_S = 250, 50
"""Of a task: its metrics each minute, above all."""
INSIGHTS_LOG_BYTES_S = 40
"""Of a task, where Container Insights is on."""
FUNCTION_LOG_BYTES = 1_200
"""Of an invocation: its metrics, and what Lambda says of each."""
REFUSED_LOG_BYTES_S = 10
"""Of the log of refused connections, for each public address: scanners of the internet find it."""


def watching(traffic: Traffic) -> Iterator[Line]:
    yield Line("CloudWatch, alarms", alarm_metrics(traffic) * prices.ALARM_METRIC.usd, "watching")
    yield Line("CloudWatch, metrics", custom_metrics(traffic) * prices.METRIC.usd, "watching")
    yield Line("CloudWatch, dashboard", prices.DASHBOARD.usd, "watching")
    lists = SECONDS * 1_000 / DEFAULT_FAILURES_MS
    yield Line("S3, counts of what failed", lists * prices.LIST.usd, "watching")
    log_gb = _log_bytes_s(traffic) * SECONDS / GB
    kept_months = traffic.deployment.monitoring.log_days / 30
    usd = log_gb * (prices.LOG_IN.usd + kept_months * prices.LOG_KEPT.usd)
    yield Line("CloudWatch, logs", usd, "watching")


def alarm_metrics(traffic: Traffic) -> int:
    """An alarm is paid for by each metric that it looks at."""
    nodes = 1 + traffic.deployment.cache.replicas
    return ALARM_METRICS + nodes * ALARM_METRICS_OF_A_NODE + TRACKING_POLICIES * ALARMS_OF_A_POLICY


def custom_metrics(traffic: Traffic) -> int:
    """Those that the product writes into its log, of all tasks together; those of filters, of the bucket of
    what failed, and of insights."""
    of_parts = (metrics.TRACKER, metrics.WORKERS, metrics.FUNCTIONS, metrics.FUNCTIONS)
    own = sum(map(_combinations, of_parts))
    insights = INSIGHTS_METRICS if traffic.deployment.monitoring.container_insights else 0
    return own + FILTER_METRICS + BUCKET_METRICS + insights


def _combinations(written: Iterable[Metric]) -> int:
    """Each metric over all, and for each value of its dimension."""
    return sum(1 + sum(DIMENSION_VALUES[name] for name in metric.dimensions) for metric in written)


def _log_bytes_s(traffic: Traffic) -> float:
    trackers, workers = traffic.tracker_tasks, traffic.worker_tasks
    tasks = trackers * TRACKER_LOG_BYTES_S + workers * WORKER_LOG_BYTES_S
    insights = (trackers + workers) * INSIGHTS_LOG_BYTES_S
    functions = (traffic.batches_s + traffic.refreshes_s) * FUNCTION_LOG_BYTES
    refused = traffic.public_addresses * REFUSED_LOG_BYTES_S
    watched = traffic.deployment.monitoring.container_insights
    return tasks + functions + refused + (insights if watched else 0)
