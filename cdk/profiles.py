"""How large a deployment on AWS is: three profiles, and what a context changes in one of them.

    cdk deploy -c profile=standard -c region=eu-central-1 -c tracker.tasksMax=20

A key is a path of fields in camel case. Keys with a colon or a slash are CDK's own and are passed over.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from cdk.config import EventSource
from schemas.errors import SettingsError
from schemas.programs import Acknowledgement
from schemas.settings import EventStoreName, Positive

Percent = Annotated[int, Meta(ge=1, le=100)]
LogDays = Literal[1, 3, 5, 7, 14, 30, 60, 90, 180, 365]
"""Some of what CloudWatch Logs takes (PutRetentionPolicy)."""
Vcpu = Literal[256, 512, 1024, 2048, 4096]
"""In units of 1/1024 vCPU."""


class Part(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Base of the parts of a deployment."""


class Network(Part, frozen=True, kw_only=True):
    """The VPC, and how tasks reach AWS."""

    cidr: Annotated[str, Meta(pattern=r"^\d+\.\d+\.\d+\.\d+/(1[6-9]|2[0-2])$")] = "10.0.0.0/16"
    zones: Annotated[int, Meta(ge=2, le=3)] = 2
    egress: Literal["endpoints", "nat", "public"] = "endpoints"
    """`endpoints`: no way out but to the AWS services in use. `nat`: one gateway per zone of
    `nat_gateways`, which is cheaper while little is sent. `public`: each task has a public address, at which
    nobody gets in; the cheapest while tasks are few (docs/decisions/0033-public-tasks.md)."""
    nat_gateways: Annotated[int, Meta(ge=1, le=3)] = 1


class Storage(Part, frozen=True, kw_only=True):
    """Tables, buckets and streams: what outlives code."""

    retain: bool = True
    """Whether data stays when its stack is destroyed, and is protected from deletion."""
    failed_events_days: Positive = 400
    logs_days: Positive = 90


class Stream(Part, frozen=True, kw_only=True):
    """A Kinesis stream. A provisioned shard takes 1 MB/s or 1,000 records/s."""

    mode: Literal["onDemand", "provisioned"] = "provisioned"
    shards: Annotated[int, Meta(ge=1, le=500)] = 1
    """Of a provisioned stream."""
    retention_hours: Annotated[int, Meta(ge=24, le=8_760)] = 24


class Cache(Part, frozen=True, kw_only=True):
    """Redis: one primary, and replicas in other zones that take its place."""

    engine: Literal["redis", "valkey"] = "redis"
    """`redis` is Redis OSS 7.1; `valkey` is what this machine runs, too, for a fifth less a node."""
    node_type: Annotated[str, Meta(pattern=r"^cache\.[a-z0-9]+\.[a-z0-9]+$")] = "cache.t4g.micro"
    replicas: Annotated[int, Meta(ge=1, le=5)] = 1


class Function(Part, frozen=True, kw_only=True):
    """A Lambda function and how it reads its stream.

    A batch that cannot be applied is tried again until its records are too old or it was tried too
    often; then it goes to the failed-events bucket, whole, and `python -m workers replay` puts it back.
    """

    memory_mb: Annotated[int, Meta(ge=128, le=10_240)] = 1_024
    timeout_s: Annotated[int, Meta(ge=10, le=900)] = 60
    enhanced_fan_out: bool = False
    """Whether it reads by a consumer of its own: 2 MB/s of each shard for it alone, at a price."""
    source: EventSource = EventSource(maximum_record_age_s=43_200, maximum_retry_attempts=1_000)

    def __post_init__(self) -> None:
        if self.source.batching_window_ms % 1_000:
            raise ValueError("batchingWindowMs is not in whole seconds, as Lambda takes it")


class Persist(Function, frozen=True, kw_only=True):
    """`persist`, and how it stores events."""

    event_store: EventStoreName = "items"
    """`items`: one item for each event, found by its message id for ever. `packed`: the events that a
    program got within a batch in one item, for a small part of the write units
    (docs/decisions/0026-packed-store.md)."""


class Service(Part, frozen=True, kw_only=True):
    """Fargate tasks, and between how many of them CPU use decides."""

    cpu: Vcpu = 512
    memory_mb: Annotated[int, Meta(ge=512, le=30_720)] = 1_024
    tasks_min: Annotated[int, Meta(ge=1, le=1_000)] = 2
    tasks_max: Annotated[int, Meta(ge=1, le=1_000)] = 4
    cpu_target_percent: Percent = 60
    spot: bool = False
    """Whether the tasks past `on_demand_min` are Spot tasks: cheaper, and AWS may take them back, two minutes
    after it says so (docs/decisions/0034-spot-workers.md)."""
    on_demand_min: Annotated[int, Meta(ge=0, le=1_000)] = 2

    def __post_init__(self) -> None:
        if self.tasks_min > self.tasks_max:
            raise ValueError("tasksMin is greater than tasksMax")


class Tracker(Service, frozen=True, kw_only=True):
    """The tracker's service and its load balancer."""

    acknowledgement: Acknowledgement = "durable"
    requests_per_task_minute: Positive = 30_000
    certificate_arn: Annotated[str, Meta(pattern=r"^(|arn:aws[a-z-]*:acm:.+)$")] = ""
    """Of the domain it is served under. Empty: plain HTTP, for trying it out."""
    requests_per_address_5_minutes: Annotated[int, Meta(ge=0, le=2_000_000_000)] = 0
    """Past these AWS WAF refuses an address's requests. 0: no WAF."""
    rate_per_address_per_s: Annotated[int, Meta(ge=0)] = 200
    """Events a second that a task takes of one client address; a partner who sends for many people, or a
    load test, needs more. 0: as many as come."""
    access_logs: bool = False
    """Whether the load balancer logs each request, with its address, user agent and query: whatever a
    program's privacy lets be kept."""


class Workers(Service, frozen=True, kw_only=True):
    """The stream workers' service."""

    iterator_age_s: Positive = 30
    """How far the workers may fall behind before there are more of them."""
    commit_interval_ms: Positive = 10_000
    """The longest that what agents did waits for its commit, which is what a kill makes them do again. Each
    entry of each commit is paid for (docs/decisions/0031-commits-are-rare.md)."""


class Monitoring(Part, frozen=True, kw_only=True):
    """Alarms, and who hears them."""

    email: Annotated[str, Meta(pattern=r"^(|[^@\s]+@[^@\s]+)$")] = ""
    log_days: LogDays = 7
    container_insights: bool = True
    """Metrics of each task and service beside those that ECS gives for nothing."""
    iterator_age_s: Positive = 60
    latency_p99_ms: Positive = 500
    budget_usd_month: Annotated[int, Meta(ge=0)] = 0
    """An alarm at 80 % of it, and when it is forecast to be spent, to `email`. 0: none."""

    def __post_init__(self) -> None:
        if self.budget_usd_month and not self.email:
            raise ValueError("budgetUsdMonth needs email")


class Deployment(Part, frozen=True, kw_only=True):
    """One deployment: its stacks are named `<name>-...`, so that an account can hold several."""

    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,30}$")] = "tracker"
    region: Annotated[str, Meta(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")] = "us-east-1"
    container_image: str = ""
    """The tracker's image, where one is built already. Empty: it is built from tracker/Dockerfile."""
    worker_image: str = ""
    network: Network = Network()
    storage: Storage = Storage()
    event_stream: Stream = Stream()
    update_stream: Stream = Stream()
    touch_stream: Stream = Stream()
    cache: Cache = Cache()
    persist: Persist = Persist()
    refresh: Function = Function()
    tracker: Tracker = Tracker()
    workers: Workers = Workers()
    monitoring: Monitoring = Monitoring()

    def __post_init__(self) -> None:
        for function, stream in ((self.persist, self.event_stream), (self.refresh, self.update_stream)):
            if not 60 <= function.source.maximum_record_age_s < stream.retention_hours * 3_600:
                raise ValueError(
                    "maximumRecordAgeS is not between 60 and the stream's retention: "
                    "a record would leave the stream before it is kept as failed"
                )


PACKED = Persist(
    event_store="packed",
    source=EventSource(
        batch_size=10_000,
        batching_window_ms=10_000,
        maximum_record_age_s=43_200,
        maximum_retry_attempts=1_000,
    ),
)
"""Batches wait to be large: what a program got in ten seconds of a shard is one item."""
ITEMS = Persist()
"""Each event is an item as soon as it can be, for a write unit each."""

SMALL = Deployment(
    network=Network(egress="public"),
    persist=PACKED,
    tracker=Tracker(cpu=256, memory_mb=512, tasks_min=2, tasks_max=8, requests_per_task_minute=15_000),
    workers=Workers(cpu=256, memory_mb=512, tasks_min=1, tasks_max=2, spot=True, on_demand_min=0),
    monitoring=Monitoring(container_insights=False),
)
"""To try it out, and up to some hundreds of requests a second."""

STANDARD = Deployment(
    event_stream=Stream(shards=2),
    cache=Cache(node_type="cache.t4g.small"),
    persist=msgspec.structs.replace(PACKED, memory_mb=1_769),
    tracker=Tracker(cpu=1024, memory_mb=2_048, tasks_min=2, tasks_max=12, requests_per_task_minute=60_000),
    workers=Workers(cpu=512, memory_mb=1_024, tasks_min=2, tasks_max=4, spot=True, on_demand_min=1),
    monitoring=Monitoring(log_days=30, latency_p99_ms=250),
)
"""Thousands of requests a second."""

LARGE = Deployment(
    network=Network(zones=3),
    event_stream=Stream(shards=16),
    update_stream=Stream(shards=2),
    touch_stream=Stream(shards=4),
    cache=Cache(node_type="cache.r7g.large", replicas=2),
    persist=msgspec.structs.replace(PACKED, memory_mb=1_769),
    tracker=Tracker(
        cpu=1024,
        memory_mb=2_048,
        tasks_min=6,
        tasks_max=60,
        on_demand_min=6,
        requests_per_task_minute=60_000,
    ),
    workers=Workers(cpu=1024, memory_mb=2_048, tasks_min=3, tasks_max=12),
    monitoring=Monitoring(log_days=30, latency_p99_ms=250),
)
"""Tens of thousands of requests a second."""

PROFILES = {"small": SMALL, "standard": STANDARD, "large": LARGE}


def deployment(context: Mapping[str, object]) -> Deployment:
    """The profile that a context names (`small` where it names none), changed as it says.

    Values may be text, as from the command line. Raises SettingsError naming the unknown key or bad value.
    """
    own = {key: value for key, value in _flat(context) if not {":", "/"} & set(key)}
    name = own.pop("profile", "small")
    if not isinstance(name, str) or name not in PROFILES:
        raise SettingsError(f"profile={name!r}: expected one of {', '.join(PROFILES)}")
    values = msgspec.to_builtins(PROFILES[name])
    known = dict(_flat(values))
    for key, value in own.items():
        if key not in known:
            raise SettingsError(f"unknown key {key!r}{_suggestion(key, known)}")
        _set(values, key, value)
    return _converted(values, own)


def _converted(values: dict[str, Any], own: Mapping[str, object]) -> Deployment:
    try:
        return msgspec.convert(values, Deployment, strict=False)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$.")
        key = place.rstrip("`")
        raise SettingsError(f"{key}={own[key]!r}: {reason}" if key in own else str(error)) from error


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each value that is no mapping, by its path. CDK's own keys may hold mappings; they are left whole."""
    for key, value in values.items():
        if isinstance(value, Mapping) and not {":", "/"} & set(key):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _set(values: dict[str, Any], key: str, value: object) -> None:
    *parts, last = key.split(".")
    for part in parts:
        values = values[part]
    values[last] = value


def _suggestion(key: str, known: Mapping[str, object]) -> str:
    near = get_close_matches(key, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
