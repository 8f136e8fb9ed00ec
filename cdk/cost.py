"""What a deployment costs in a month under a steady rate of requests, line by line.

List prices (`cdk.prices`), a profile (`cdk.profiles`) and what the rate comes to in it (`cdk.traffic`), and
nothing else: no account is asked. `python -m cdk.cost_page` writes docs/cost.md from it.
"""

import math
from collections.abc import Iterator

from cdk import prices
from cdk.defaults import DEFAULT_FAILOVER_MS, DEFAULT_LOOK_INTERVAL_MS
from cdk.lines import GB, HOURS, SECONDS, Line, Part, counted
from cdk.profiles import Deployment, Function, Service, Stream
from cdk.traffic import CALLS_AT_ONCE, READING_AGENTS, STATEMENTS_PER_CALL, Traffic, distinct
from cdk.watching import watching

UNITS_OF_A_LOOK = 0.5
"""An eventually consistent read of an item."""
FREE_RETENTION_HOURS = 24
SECRETS = 3
INTERFACE_ENDPOINTS = 5
RENEWALS_PER_FAILOVER = 3
CONNECTIONS_PER_CAPACITY = 25
BYTES_PER_CAPACITY_HOUR = 1e9
KMS_CALLS_PER_SHARD_S = 1 / 60
"""Of a stream's AWS managed key: Kinesis calls it every five minutes for each reader and writer (Amazon
Kinesis Data Streams Developer Guide, "Costs, Regions, and performance considerations")."""


def bill(traffic: Traffic) -> list[Line]:
    """The lines that cost anything."""
    parts = (
        _entrance,
        _tasks,
        _network,
        _streams,
        _functions,
        _tables,
        _state,
        _looks,
        _matches,
        _cache,
        watching,
        _secrets,
    )
    return [line for part in parts for line in part(traffic) if line.usd >= 0.005]


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
        on_demand = min(count, service.on_demand_min) if service.spot else count
        usd = HOURS * _task_hour(service)
        yield Line(f"{counted(on_demand, f'{name} task')} on Fargate", on_demand * usd, part)
        spot, discounted = count - on_demand, usd * (1 - prices.SPOT_DISCOUNT)
        yield Line(f"{counted(spot, f'{name} task')} on Fargate Spot", spot * discounted, part)


def _task_hour(service: Service) -> float:
    return service.cpu / 1_024 * prices.VCPU.usd + service.memory_mb / 1_024 * prices.MEMORY.usd


def _network(traffic: Traffic) -> Iterator[Line]:
    """What goes to the event stream, and comes from it to each agent that reads it."""
    put_gb = traffic.framed_bytes_s * SECONDS / GB
    read_gb = READING_AGENTS * put_gb
    match traffic.deployment.network.egress:
        case "endpoints":
            hours = INTERFACE_ENDPOINTS * traffic.deployment.network.zones * HOURS
            yield Line("interface endpoints", hours * prices.ENDPOINT.usd, "taking in")
            yield Line("interface endpoints, events", put_gb * prices.ENDPOINT_DATA.usd, "taking in")
            yield Line("interface endpoints, events read", read_gb * prices.ENDPOINT_DATA.usd, "workers")
        case "nat":
            hours = traffic.deployment.network.nat_gateways * HOURS
            yield Line("NAT gateway", hours * prices.NAT.usd, "taking in")
            yield Line("public address of the NAT gateway", hours * prices.PUBLIC_ADDRESS.usd, "taking in")
            yield Line("NAT gateway, events", put_gb * prices.NAT_DATA.usd, "taking in")
            yield Line("NAT gateway, events read", read_gb * prices.NAT_DATA.usd, "workers")
        case "public":
            hour = HOURS * prices.PUBLIC_ADDRESS.usd
            yield Line("public addresses of trackers", traffic.tracker_tasks * hour, "taking in")
            yield Line("public addresses of workers", traffic.worker_tasks * hour, "workers")
    between_gb = traffic.between_zones_bytes_s * SECONDS / GB
    yield Line("data between zones", between_gb * prices.BETWEEN_ZONES.usd, "core data")


def _streams(traffic: Traffic) -> Iterator[Line]:
    deployment = traffic.deployment
    events, updates, touches = deployment.event_stream, deployment.update_stream, deployment.touch_stream
    if events.mode == "provisioned":
        units = traffic.frames_s * SECONDS
        yield Line(f"event stream, {counted(traffic.shards, 'shard')}", _shard_hours(events), "taking in")
        yield Line("event stream, PUT payload units", units * prices.PUT_UNIT.usd, "taking in")
    else:
        yield from _on_demand(traffic)
    told = traffic.told_s * SECONDS * prices.PUT_UNIT.usd
    yield Line("update stream", _shard_hours(updates) + told, "core data")
    touched = traffic.requests_s * traffic.assume.touches * SECONDS * prices.PUT_UNIT.usd
    yield Line("touch stream", _shard_hours(touches) + touched, "workers")
    if deployment.persist.enhanced_fan_out:
        hours, gb = traffic.shards * HOURS, traffic.framed_bytes_s * SECONDS / GB
        fan_out = hours * prices.FAN_OUT.usd + gb * prices.FAN_OUT_DATA.usd
        yield Line("enhanced fan-out", fan_out, "storing")
    shards = traffic.shards + updates.shards + touches.shards
    yield Line("KMS", shards * KMS_CALLS_PER_SHARD_S * SECONDS * prices.KMS_CALL.usd, "taking in")


def _shard_hours(stream: Stream) -> float:
    longer = prices.LONGER_RETENTION.usd if stream.retention_hours > FREE_RETENTION_HOURS else 0
    return stream.shards * HOURS * (prices.SHARD.usd + longer)


def _on_demand(traffic: Traffic) -> Iterator[Line]:
    """A record counts as a KB at least. What `persist` reads is storing, what agents do is the workers'."""
    record = math.ceil(traffic.framed_bytes_s / traffic.frames_s / 1_000) * 1_000
    gb_in, gb = (each * SECONDS / GB for each in (traffic.frames_s * record, traffic.framed_bytes_s))
    kept = max(0, traffic.deployment.event_stream.retention_hours - FREE_RETENTION_HOURS) / HOURS
    moved = gb_in * prices.ON_DEMAND_IN.usd + gb * kept * prices.ON_DEMAND_KEPT.usd
    yield Line("event stream, on demand", HOURS * prices.ON_DEMAND_STREAM.usd + moved, "taking in")
    yield Line("event stream, read by `persist`", gb * prices.ON_DEMAND_OUT.usd, "storing")
    yield Line("event stream, read by agents", READING_AGENTS * gb * prices.ON_DEMAND_OUT.usd, "workers")


def _functions(traffic: Traffic) -> Iterator[Line]:
    deployment, assume = traffic.deployment, traffic.assume
    persist_s = assume.call_s + _storing_s(traffic)
    functions: list[tuple[str, Function, float, float, Part]] = [
        ("persist", deployment.persist, traffic.batches_s, persist_s, "storing"),
        ("refresh", deployment.refresh, traffic.refreshes_s, 2 * assume.call_s, "core data"),
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
    """Leases are renewed, and each commit moves one on. What it tells is put over items of the log that count
    no more, so it costs its own size, and no deletions (docs/decisions/0032-state-as-a-log.md).
    """
    assume, touches_s = traffic.assume, traffic.requests_s * traffic.assume.touches
    event_shards, touch_shards = traffic.shards, traffic.deployment.touch_stream.shards
    update_shards = traffic.deployment.update_stream.shards
    renewals_s = traffic.leases * RENEWALS_PER_FAILOVER * 1_000 / DEFAULT_FAILOVER_MS
    commits_s = traffic.leases / traffic.shards * _told_units_s(traffic, event_shards, traffic.requests_s)
    programs = assume.tally_program_bytes
    for what, writes_s in (
        ("leases", renewals_s + commits_s),
        (
            "state of `tally`",
            _told_units_s(traffic, event_shards, traffic.requests_s, assume.tally_bytes, programs),
        ),
        ("state of `guard`", _told_units_s(traffic, event_shards, touches_s, assume.guard_bytes)),
        ("state of `matcher`", _told_units_s(traffic, touch_shards, touches_s, assume.matcher_bytes)),
        ("state of `budgets`", _told_units_s(traffic, update_shards, traffic.counted_s)),
    ):
        yield Line(f"DynamoDB, {what}", writes_s * SECONDS * prices.WRITE_UNIT.usd, "workers")


def _told_units_s(
    traffic: Traffic, shards: int, events_s: float, event_bytes: float = 0, program_bytes: float = 0
) -> float:
    """What the commits on so many shards write: an item of state each, where there is an event."""
    commit_s = traffic.deployment.workers.commit_interval_ms / 1_000
    events = events_s / shards * commit_s
    told = events * event_bytes + distinct(traffic.assume.programs, events) * program_bytes
    return shards * min(1, events) / commit_s * math.ceil((traffic.assume.state_base_bytes + told) / 1_024)


def _looks(traffic: Traffic) -> Iterator[Line]:
    """Each worker looks at the leases that it does not hold (docs/decisions/0037-looks-at-leases.md)."""
    looked_at = traffic.leases * (traffic.worker_tasks - 1)
    reads_s = looked_at * UNITS_OF_A_LOOK * 1_000 / DEFAULT_LOOK_INTERVAL_MS
    yield Line("DynamoDB, looks at leases", reads_s * SECONDS * prices.READ_UNIT.usd, "workers")


def _matches(traffic: Traffic) -> Iterator[Line]:
    """Each is an item, and a message on the update stream, which many share."""
    matches_s = traffic.requests_s * traffic.assume.matched
    kept_gb = matches_s * traffic.assume.match_bytes * traffic.assume.kept_days * 86_400 / GB
    kept = kept_gb * (prices.TABLE_STORAGE.usd + prices.TABLE_BACKUP.usd)
    yield Line("DynamoDB, matches", matches_s * SECONDS * prices.WRITE_UNIT.usd + kept, "workers")


def _cache(traffic: Traffic) -> Iterator[Line]:
    cache = traffic.deployment.cache
    price = prices.NODES[cache.node_type].usd
    if cache.engine == "valkey":
        price *= 1 - prices.VALKEY_DISCOUNT
    nodes = 1 + cache.replicas
    yield Line(f"{nodes} nodes of {cache.engine.capitalize()}", nodes * HOURS * price, "core data")


def _secrets(traffic: Traffic) -> Iterator[Line]:
    yield Line("Secrets Manager", SECRETS * prices.SECRET.usd, "taking in")


def _is_packed(deployment: Deployment) -> bool:
    return deployment.persist.event_store == "packed"
