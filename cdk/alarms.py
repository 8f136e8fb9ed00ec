"""What a person should look at: each thing as a metric, the value it must stay under, and what it means."""

from collections.abc import Iterator

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_logs as logs
from msgspec import Struct

from cdk import profiles
from cdk.balancer import Balancer
from cdk.cache import Cache
from cdk.fargate import FargateService
from cdk.functions import StreamFunction
from cdk.metrics import MINUTE, OwnMetrics
from cdk.storage import FAILED_EVENTS_METRICS, Storage
from schemas import metrics

NAMESPACE = "ReactiveTracker"
REDIS_MEMORY_PERCENT = 80
STALE_S = 30
"""Longer than a failover of Redis takes to be over."""
BUFFER_PERCENT = 80
LOOP_LAG_S = 0.25


class Alarm(Struct, frozen=True, kw_only=True):
    """Rings when `metric` was at `threshold` or over it in each of `minutes` minutes on end."""

    name: str
    metric: cloudwatch.IMetric
    threshold: float
    minutes: int
    meaning: str
    missing_rings: bool = False
    """Whether no data is a reason too."""


def request_alarms(entrance: Balancer, profile: profiles.Monitoring) -> Iterator[Alarm]:
    own = entrance.balancer.metrics
    targets = entrance.targets.metrics
    failed = {
        "a": own.http_code_target(elb.HttpCodeTarget.TARGET_5XX_COUNT, period=MINUTE),
        "b": own.http_code_elb(elb.HttpCodeElb.ELB_5XX_COUNT, period=MINUTE),
        "n": own.request_count(period=MINUTE),
    }
    yield Alarm(
        name="Requests5xx",
        metric=cloudwatch.MathExpression(
            expression="100 * (FILL(a, 0) + FILL(b, 0)) / n",
            using_metrics=failed,
            period=MINUTE,
            label="% of requests answered 5xx",
        ),
        threshold=1,
        minutes=3,
        meaning="Clients are told to send again, or get nothing: a dependency is down or tasks are full.",
    )
    yield Alarm(
        name="LatencyP99",
        metric=targets.target_response_time(statistic="p99", period=MINUTE),
        threshold=profile.latency_p99_ms / 1_000,
        minutes=5,
        meaning="Answers are slow: Kinesis is slow to confirm, or there are too few tasks.",
    )
    yield Alarm(
        name="UnhealthyTasks",
        metric=targets.unhealthy_host_count(statistic="Maximum", period=MINUTE),
        threshold=1,
        minutes=3,
        meaning="Tasks do not say they are ready: see their log.",
    )


def tracker_alarms(tracker: FargateService, own: OwnMetrics) -> Iterator[Alarm]:
    yield Alarm(
        name="StaleCoreData",
        metric=own.of_trackers(metrics.STALENESS, "Maximum"),
        threshold=STALE_S,
        minutes=3,
        meaning="A tracker's link to Redis is lost: core data may be stale and is read from DynamoDB.",
    )
    yield Alarm(
        name="LinkFlaps",
        metric=_lines(tracker, "LinkFlaps", logs.FilterPattern.literal('"link failed"')),
        threshold=3,
        minutes=3,
        meaning="Trackers lose their link to Redis again and again, each time for a moment.",
    )
    yield Alarm(
        name="BufferFills",
        metric=own.buffer_percent(),
        threshold=BUFFER_PERCENT,
        minutes=2,
        meaning="Kinesis takes less than what comes; once the buffer is full, clients are told to wait.",
    )
    yield Alarm(
        name="EventLoopLag",
        metric=own.of_trackers(metrics.LOOP_LAG, "p99"),
        threshold=LOOP_LAG_S,
        minutes=5,
        meaning="Tasks have more to do than they can: every answer is late by so much. Add tasks.",
    )
    yield Alarm(
        name="EventsNotConfirmed",
        metric=_lines(tracker, "EventsNotConfirmed", logs.FilterPattern.literal('"drain timed out"')),
        threshold=1,
        minutes=1,
        meaning="A task stopped before Kinesis had confirmed all it held; clients were told to send again.",
    )


def task_alarms(name: str, service: FargateService) -> Iterator[Alarm]:
    yield Alarm(
        name=f"{name}Memory",
        metric=service.service.metric_memory_utilization(statistic="Maximum", period=MINUTE),
        threshold=90,
        minutes=5,
        meaning="A task is about to be killed for its memory.",
    )


def stream_alarms(name: str, stream: kinesis.Stream, profile: profiles.Monitoring) -> Iterator[Alarm]:
    yield Alarm(
        name=f"{name}StreamIteratorAge",
        metric=stream.metric_get_records_iterator_age_milliseconds(statistic="Maximum", period=MINUTE),
        threshold=profile.iterator_age_s * 1_000,
        minutes=5,
        meaning="Who reads this stream falls behind; if no function does, it is the workers.",
    )
    yield Alarm(
        name=f"{name}StreamThrottled",
        metric=stream.metric_write_provisioned_throughput_exceeded(statistic="Sum", period=MINUTE),
        threshold=1,
        minutes=5,
        meaning="Shards are full: add shards, or look for one key that takes most of the events.",
    )


def function_alarms(name: str, function: StreamFunction, profile: profiles.Monitoring) -> Iterator[Alarm]:
    own = function.function
    yield Alarm(
        name=f"{name}IteratorAge",
        metric=own.metric("IteratorAge", statistic="Maximum", period=MINUTE),
        threshold=profile.iterator_age_s * 1_000,
        minutes=3,
        meaning=f"{name} falls behind its stream: see its log, its errors and the tables' throttles.",
    )
    yield Alarm(
        name=f"{name}Errors",
        metric=own.metric_errors(statistic="Sum", period=MINUTE),
        threshold=1,
        minutes=3,
        meaning=f"{name} fails on batches, which are tried again: see its log.",
    )
    yield Alarm(
        name=f"{name}Throttled",
        metric=own.metric_throttles(statistic="Sum", period=MINUTE),
        threshold=1,
        minutes=3,
        meaning=f"The account's Lambda concurrency is used up; {name} waits.",
    )
    yield Alarm(
        name=f"{name}FailuresLost",
        metric=own.metric("DestinationDeliveryFailures", statistic="Sum", period=MINUTE),
        threshold=1,
        minutes=1,
        meaning="A batch was given up and could not be kept: its records are in the stream alone.",
    )


def storage_alarms(storage: Storage) -> Iterator[Alarm]:
    tables = {"Events": storage.events, "Totals": storage.totals, "Programs": storage.programs}
    for name, table in tables.items():
        yield Alarm(
            name=f"{name}TableThrottled",
            metric=_throttled(table),
            threshold=1,
            minutes=5,
            meaning="DynamoDB refuses requests: one partition is hot, or the account's limit is reached.",
        )
    yield Alarm(
        name="FailedEvents",
        metric=cloudwatch.Metric(
            namespace="AWS/S3",
            metric_name="PutRequests",
            dimensions_map={
                "BucketName": storage.failed_events.bucket_name,
                "FilterId": FAILED_EVENTS_METRICS,
            },
            statistic="Sum",
            period=MINUTE,
        ),
        threshold=1,
        minutes=1,
        meaning="Something could not be applied and was set aside. Mend, then: python -m workers replay.",
    )


def redis_alarms(cache: Cache) -> Iterator[Alarm]:
    yield Alarm(
        name="RedisMemory",
        metric=_redis(cache, "DatabaseMemoryUsagePercentage"),
        threshold=REDIS_MEMORY_PERCENT,
        minutes=5,
        meaning="Redis fills up and will evict records: take a larger node.",
        missing_rings=True,
    )
    yield Alarm(
        name="RedisCpu",
        metric=_redis(cache, "EngineCPUUtilization"),
        threshold=80,
        minutes=5,
        meaning="Redis is busy: changes reach trackers late.",
    )


def _throttled(table: dynamodb.Table) -> cloudwatch.MathExpression:
    return cloudwatch.MathExpression(
        expression="FILL(r, 0) + FILL(w, 0)",
        using_metrics={
            "r": table.metric("ReadThrottleEvents", statistic="Sum", period=MINUTE),
            "w": table.metric("WriteThrottleEvents", statistic="Sum", period=MINUTE),
        },
        period=MINUTE,
        label="requests refused",
    )


def _redis(cache: Cache, name: str) -> cloudwatch.MathExpression:
    """The highest of all nodes, which are numbered from 001."""
    nodes = {
        f"n{number}": cloudwatch.Metric(
            namespace="AWS/ElastiCache",
            metric_name=name,
            dimensions_map={"CacheClusterId": f"{cache.id}-{number:03}"},
            statistic="Maximum",
            period=MINUTE,
        )
        for number in range(1, cache.nodes + 1)
    }
    return cloudwatch.MathExpression(
        expression=f"MAX([{', '.join(nodes)}])", using_metrics=nodes, period=MINUTE, label=name
    )


def _lines(service: FargateService, name: str, pattern: logs.IFilterPattern) -> cloudwatch.IMetric:
    """How many lines of a service's log say this."""
    lines = service.log.add_metric_filter(
        name,
        filter_pattern=pattern,
        metric_namespace=f"{NAMESPACE}/{service.node.path}",
        metric_name=name,
        metric_value="1",
        default_value=0,
    )
    return lines.metric(statistic="Sum", period=MINUTE)
