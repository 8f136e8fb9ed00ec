"""The product's own metrics, as CloudWatch finds them in the logs (schemas/emf.py)."""

from collections.abc import Iterator, Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from cdk import profiles
from schemas import metrics
from schemas.emf import SERVICE
from schemas.metrics import Metric

MINUTE = Duration.minutes(1)
TRACKER = "tracker"
PERCENTILES = ("p50", "p95", "p99")


def namespace_of(deployment: profiles.Deployment) -> str:
    """Each deployment of an account has its own."""
    return f"ReactiveTracker/{deployment.name}"


class OwnMetrics:
    """Those of one deployment."""

    def __init__(self, deployment: profiles.Deployment) -> None:
        self._namespace = namespace_of(deployment)

    def of_trackers(self, metric: Metric, statistic: str) -> cloudwatch.Metric:
        """Over all tasks."""
        return cloudwatch.Metric(
            namespace=self._namespace,
            metric_name=metric.name,
            dimensions_map={SERVICE: TRACKER},
            statistic=statistic,
            period=MINUTE,
            label=statistic,
        )

    def by(self, metric: Metric, dimension: str) -> cloudwatch.MathExpression:
        """A counter's sum for each value of a dimension there has been."""
        found = f'{{"{self._namespace}",{SERVICE},{dimension}}} MetricName="{metric.name}"'
        return cloudwatch.MathExpression(
            expression=f"SEARCH('{found}', 'Sum', {MINUTE.to_seconds()})", period=MINUTE, label=""
        )

    def greatest(self, metric: Metric, *dimensions: str) -> cloudwatch.MathExpression:
        """A gauge's greatest value, for each service and value of the dimensions that there has been."""
        found = f'{{"{self._namespace}",{",".join((SERVICE, *dimensions))}}} MetricName="{metric.name}"'
        return cloudwatch.MathExpression(
            expression=f"SEARCH('{found}', 'Maximum', {MINUTE.to_seconds()})", period=MINUTE, label=""
        )

    def buffer_percent(self) -> cloudwatch.MathExpression:
        """How full the fullest buffer is."""
        return cloudwatch.MathExpression(
            expression="100 * used / limit",
            using_metrics={
                "used": self.of_trackers(metrics.BUFFER, "Maximum"),
                "limit": self.of_trackers(metrics.BUFFER_LIMIT, "Maximum"),
            },
            period=MINUTE,
            label="% of the buffer",
        )

    def graphs(self, width: int) -> Iterator[cloudwatch.IWidget]:
        """Of the trackers, what docs/grafana/tracker.json draws; and the functions and workers."""
        spread = self._spread
        yield _graph("Acknowledgement", spread(metrics.ACKNOWLEDGEMENT), width)
        yield _graph("Events by outcome", [self.by(metrics.EVENTS, "outcome")], width)
        yield _graph("Requests by status", [self.by(metrics.REQUESTS, "status")], width)
        yield _graph("Events per frame", spread(metrics.FRAME_EVENTS), width)
        yield _graph("Bytes per frame", spread(metrics.FRAME_BYTES), width)
        yield _graph("Frames sent again", [self.by(metrics.PUT_RETRIES, "reason")], width)
        yield _graph("Core data by level", [self.by(metrics.READS, "level")], width)
        yield _graph("Delay of changes", spread(metrics.INVALIDATION_DELAY), width)
        yield _graph("Event loop lag", spread(metrics.LOOP_LAG), width)
        for title, *held in (
            ("Link and stale answers", (metrics.LINK_UP, "Minimum"), (metrics.STALE_ANSWERS, "Sum")),
            ("Staleness", (metrics.STALENESS, "Maximum")),
            ("Not confirmed", (metrics.UNACKNOWLEDGED, "Maximum")),
            ("Programs in memory", (metrics.PROGRAMS, "Maximum")),
            ("Lanes", (metrics.LANES, "Maximum")),
        ):
            yield _graph(title, [self.of_trackers(*each) for each in held], width)
        yield _graph("Buffer", [self.buffer_percent()], width)
        yield _graph("Events stored", [self.by(metrics.FUNCTION_EVENTS, "outcome")], width)
        yield _graph("Records of functions", [self.by(metrics.FUNCTION_RECORDS, "outcome")], width)
        yield _graph("Age of batches", [self.greatest(metrics.FUNCTION_LAG)], width)
        yield _graph("Records of workers", [self.by(metrics.WORKER_RECORDS, "reader")], width)
        yield _graph("Lag of workers", [self.greatest(metrics.WORKER_LAG, "reader")], width)
        yield _graph("Failures", [self.greatest(metrics.WORKER_FAILURES)], width)

    def _spread(self, metric: Metric) -> list[cloudwatch.IMetric]:
        return [self.of_trackers(metric, percentile) for percentile in PERCENTILES]


def _graph(title: str, shown: Sequence[cloudwatch.IMetric], width: int) -> cloudwatch.IWidget:
    return cloudwatch.GraphWidget(title=title, left=list(shown), width=width)
