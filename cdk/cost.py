"""What a deployment costs in a month under a steady rate of requests, line by line.

List prices (`cdk.prices`), a profile (`cdk.profiles`) and what the rate comes to in it (`cdk.traffic`), and
nothing else: no account is asked. `python -m cdk.cost_page` writes docs/cost.md from it.
"""

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple, get_args

import msgspec

from cdk import prices
from cdk.profiles import Deployment, Function, Service, Stream
from cdk.traffic import CALLS_AT_ONCE, STATEMENTS_PER_CALL, Traffic, distinct
from workers.settings import WorkerSettings

HOURS = 730
DEFAULT_FAILOVER_MS = next(
    spec.default for spec in msgspec.structs.fields(WorkerSettings) if spec.name == "failover_ms"
)
SECONDS = HOURS * 3_600
GB = 1e9
FREE_RETENTION_HOURS = 24
SECRETS = 3
INTERFACE_ENDPOINTS = 5
ALARM_METRICS = 28
"""Of the alarms in cdk/alarms.py, besides two for each node of Redis."""
LOG_METRICS = 2
INSIGHTS_METRICS = 40
"""Of Container Insights: a cluster, two services and their tasks."""
LINES_BYTES_PER_INVOCATION = 400
TASK_LOG_BYTES_S = 50
READING_AGENTS = 2
"""Of the event stream: `tally` and `guard`. One agent reads each of the other streams."""
RENEWALS_PER_FAILOVER = 3
CONNECTIONS_PER_CAPACITY = 25
BYTES_PER_CAPACITY_HOUR = 1e9
KMS_CALLS_PER_SHARD_S = 1 / 60
"""Of a stream's AWS managed key: each reader and writer keeps a data key for minutes."""


Part = Literal["taking in", "storing", "core data", "workers", "watching"]
PARTS: tuple[Part, ...] = get_args(Part)
"""Taking in: a request to a durable event. Core data: what answers depend on. Workers: live counts, matching,
guarding."""


class Line(NamedTuple):
    """A line of the bill."""

    what: str
    usd: float
    part: Part


def bill(traffic: Traffic) -> list[Line]:
    """The lines that cost anything."""
    parts = (_entrance, _tasks, _network, _streams, _functions, _tables, _state, _cache, _watching, _secrets)
    return [line for part in parts for line in part(traffic) if line.usd >= 0.005]


def total_usd(lines: list[Line]) -> float:
    return sum(line.usd for line in lines)


def usd_of(lines: list[Line], *parts: Part) -> float:
    return sum(line.usd for line in lines if line.part in parts)


def _entrance(traffic: Traffic) -> Iterator[Line]:
    zones, assume = traffic.deployment.network.zones, traffic.assume
    bytes_hour = traffic.requests_s * 3_600 * (assume.request_bytes + assume.answer_bytes)
    connections_s = traffic.requests_s / assume.requests_per_connection
    capacity = max(connections_s / CONNECTIONS_PER_CAPACITY, bytes_hour / BYTES_PER_CAPACITY_HOUR)
    yield Line("load balancer, hours", HOURS * prices.BALANCER.usd, "taking in")
    yield Line("load balancer, capacity units", HOURS * capacity * prices.BALANCER_CAPACITY.usd, "taking in")
    yield Line(
        "public addresses of the load balancer", zones * HOURS * prices.PUBLIC_ADDRESS.usd, "taking in"
    )
    out_gb = traffic.requests_s * SECONDS * assume.answer_bytes / GB
    yield Line("answers, out to the internet", out_gb * prices.DATA_OUT.usd, "taking in")
    rate_limit = traffic.deployment.tracker.requests_per_address_5_minutes
    if rate_limit:
        fixed = prices.WAF_LIST.usd + prices.WAF_RULE.usd
        yield Line("WAF", fixed + traffic.requests_s * SECONDS * prices.WAF_REQUEST.usd, "taking in")


def _tasks(traffic: Traffic) -> Iterator[Line]:
    deployment = traffic.deployment
    tasks: list[tuple[str, Service, int, Part]] = [
        ("tracker", deployment.tracker, traffic.tracker_tasks, "taking in"),
        ("worker", deployment.workers, traffic.worker_tasks, "workers"),
    ]
    for name, service, count, part in tasks:
        what = f"{_counted(count, f'{name} task')} on Fargate"
        yield Line(what, count * HOURS * _task_hour(service), part)


def _task_hour(service: Service) -> float:
    return service.cpu / 1_024 * prices.VCPU.usd + service.memory_mb / 1_024 * prices.MEMORY.usd


def _network(traffic: Traffic) -> Iterator[Line]:
    network = traffic.deployment.network
    gb = 2 * traffic.framed_bytes_s * SECONDS / GB
    """To the stream, and from it to the workers."""
    if network.egress == "endpoints":
        hours = INTERFACE_ENDPOINTS * network.zones * HOURS
        yield Line(
            "interface endpoints", hours * prices.ENDPOINT.usd + gb * prices.ENDPOINT_DATA.usd, "taking in"
        )
        return
    gateways = network.nat_gateways * HOURS
    yield Line("NAT gateway", gateways * prices.NAT.usd + gb * prices.NAT_DATA.usd, "taking in")
    yield Line("public address of the NAT gateway", gateways * prices.PUBLIC_ADDRESS.usd, "taking in")


def _streams(traffic: Traffic) -> Iterator[Line]:
    deployment = traffic.deployment
    events, updates, touches = deployment.event_stream, deployment.update_stream, deployment.touch_stream
    if events.mode == "provisioned":
        units = traffic.frames_s * SECONDS
        yield Line(f"event stream, {_counted(traffic.shards, 'shard')}", _shard_hours(events), "taking in")
        yield Line("event stream, PUT payload units", units * prices.PUT_UNIT.usd, "taking in")
    else:
        yield from _on_demand(traffic)
    totals = traffic.counted_s * SECONDS * prices.PUT_UNIT.usd
    yield Line("update stream", _shard_hours(updates) + totals, "core data")
    touched = traffic.requests_s * traffic.assume.touches * SECONDS * prices.PUT_UNIT.usd
    yield Line("touch stream", _shard_hours(touches) + touched, "workers")
    if deployment.persist.enhanced_fan_out:
        yield Line("enhanced fan-out", traffic.shards * HOURS * prices.FAN_OUT.usd, "storing")
    shards = traffic.shards + updates.shards + touches.shards
    yield Line("KMS", shards * KMS_CALLS_PER_SHARD_S * SECONDS * prices.KMS_CALL.usd, "taking in")


def _shard_hours(stream: Stream) -> float:
    longer = prices.LONGER_RETENTION.usd if stream.retention_hours > FREE_RETENTION_HOURS else 0
    return stream.shards * HOURS * (prices.SHARD.usd + longer)


def _on_demand(traffic: Traffic) -> Iterator[Line]:
    """Two readers, `persist` and the workers. A record counts as a KB at least."""
    record = math.ceil(traffic.framed_bytes_s / traffic.frames_s / 1_000) * 1_000
    gb_in, gb = (each * SECONDS / GB for each in (traffic.frames_s * record, traffic.framed_bytes_s))
    kept = max(0, traffic.deployment.event_stream.retention_hours - FREE_RETENTION_HOURS) / HOURS
    moved = gb_in * prices.ON_DEMAND_IN.usd + gb * kept * prices.ON_DEMAND_KEPT.usd
    yield Line("event stream, on demand", HOURS * prices.ON_DEMAND_STREAM.usd + moved, "taking in")
    yield Line("event stream, read twice", 2 * gb * prices.ON_DEMAND_OUT.usd, "storing")


def _functions(traffic: Traffic) -> Iterator[Line]:
    deployment, assume = traffic.deployment, traffic.assume
    persist_s = assume.call_s + _storing_s(traffic)
    refreshes_s = min(traffic.counted_s, deployment.update_stream.shards / assume.poll_s)
    functions: list[tuple[str, Function, float, float, Part]] = [
        ("persist", deployment.persist, traffic.batches_s, persist_s, "storing"),
        ("refresh", deployment.refresh, refreshes_s, 2 * assume.call_s, "core data"),
    ]
    for name, function, invocations_s, each_s, part in functions:
        gb_seconds = invocations_s * each_s * function.memory_mb / 1_024
        cost = invocations_s * prices.INVOCATION.usd + gb_seconds * prices.FUNCTION_MEMORY.usd
        yield Line(f"Lambda `{name}`", SECONDS * cost, part)


def _storing_s(traffic: Traffic) -> float:
    """How long `persist` takes for a batch: its calls, some at a time, and its CPU time."""
    assume, events, programs = traffic.assume, traffic.events_per_batch, traffic.programs_per_batch
    if _is_packed(traffic.deployment):
        calls, cpu_s = 2 * programs, events * assume.packed_cpu_s
    else:
        calls, cpu_s = events / STATEMENTS_PER_CALL + 3 * programs, events * assume.item_cpu_s
    return math.ceil(calls / CALLS_AT_ONCE) * assume.call_s + cpu_s


def _tables(traffic: Traffic) -> Iterator[Line]:
    packed = _is_packed(traffic.deployment)
    if packed:
        writes_s = traffic.counted_s * (math.ceil(traffic.pack_bytes / 1_024) + 1)
        reads_s, kept_bytes_s = 0.0, traffic.counted_s * traffic.pack_bytes
    else:
        writes_s = traffic.requests_s + traffic.counted_s
        reads_s, kept_bytes_s = 2 * traffic.counted_s, traffic.requests_s * traffic.assume.item_bytes
    kept_gb = kept_bytes_s * traffic.assume.kept_days * 86_400 / GB
    yield Line("DynamoDB, writes of events and totals", writes_s * SECONDS * prices.WRITE_UNIT.usd, "storing")
    yield Line("DynamoDB, reads of totals", reads_s * SECONDS * prices.READ_UNIT.usd, "storing")
    yield Line("DynamoDB, events kept", kept_gb * prices.TABLE_STORAGE.usd, "storing")
    yield Line("DynamoDB, their backup", kept_gb * prices.TABLE_BACKUP.usd, "storing")


def _state(traffic: Traffic) -> Iterator[Line]:
    """Leases are renewed, and each commit is a transaction, which counts twice: of its lease, and of what
    changed. `tally` keeps entries for each program and minute, `matcher` one for each click or conversion.
    """
    deployment, assume = traffic.deployment, traffic.assume
    commit_s = deployment.workers.commit_interval_ms / 1_000
    events_per_commit = traffic.requests_s / traffic.shards * commit_s
    leases = (
        READING_AGENTS * traffic.shards + deployment.update_stream.shards + deployment.touch_stream.shards
    )
    commits_s = leases * min(1, events_per_commit) / commit_s
    renewals_s = leases * RENEWALS_PER_FAILOVER * 1_000 / DEFAULT_FAILOVER_MS
    counted = distinct(assume.programs, events_per_commit) * assume.tally_entries
    touches_s = traffic.requests_s * assume.touches
    for what, writes_s in (
        ("leases", renewals_s + 2 * commits_s),
        ("state of `tally`", 2 * counted * traffic.shards / commit_s),
        ("state of `matcher`", 2 * touches_s),
    ):
        yield Line(f"DynamoDB, {what}", writes_s * SECONDS * prices.WRITE_UNIT.usd, "workers")


def _cache(traffic: Traffic) -> Iterator[Line]:
    cache = traffic.deployment.cache
    price = prices.NODES[cache.node_type].usd
    if cache.engine == "valkey":
        price *= 1 - prices.VALKEY_DISCOUNT
    nodes = 1 + cache.replicas
    yield Line(f"{nodes} nodes of {cache.engine.capitalize()}", nodes * HOURS * price, "core data")


def _watching(traffic: Traffic) -> Iterator[Line]:
    monitoring = traffic.deployment.monitoring
    alarm_metrics = ALARM_METRICS + 2 * (1 + traffic.deployment.cache.replicas)
    metrics = LOG_METRICS + (INSIGHTS_METRICS if monitoring.container_insights else 0)
    yield Line("CloudWatch, alarms", alarm_metrics * prices.ALARM_METRIC.usd, "watching")
    yield Line("CloudWatch, metrics", metrics * prices.METRIC.usd, "watching")
    yield Line("CloudWatch, dashboard", prices.DASHBOARD.usd, "watching")
    tasks = traffic.tracker_tasks + traffic.worker_tasks
    log_bytes_s = 2 * traffic.batches_s * LINES_BYTES_PER_INVOCATION + tasks * TASK_LOG_BYTES_S
    log_gb = log_bytes_s * SECONDS / GB
    kept = monitoring.log_days / 30
    yield Line("CloudWatch, logs", log_gb * (prices.LOG_IN.usd + kept * prices.LOG_KEPT.usd), "watching")


def _secrets(traffic: Traffic) -> Iterator[Line]:
    yield Line("Secrets Manager", SECRETS * prices.SECRET.usd, "taking in")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _is_packed(deployment: Deployment) -> bool:
    return deployment.persist.event_store == "packed"
