"""What a rate of requests comes to inside a deployment: tasks, frames, batches, items."""

import math
from typing import Annotated

from msgspec import Meta, Struct

from cdk.defaults import DEFAULT_REPORT_MS
from cdk.profiles import Deployment, Service


class Assumptions(Struct, frozen=True, kw_only=True):
    """What the model does not know of your traffic, and what was measured on ours."""

    requests_per_connection: Annotated[float, Meta(description="requests on a client's connection")] = 10
    request_bytes: Annotated[float, Meta(description="bytes of a request, headers included")] = 500
    answer_bytes: Annotated[float, Meta(description="bytes of an answer, headers included")] = 450
    programs: Annotated[int, Meta(description="programs that get events, all alike")] = 100
    kept_days: Annotated[int, Meta(description="days that stored events are kept")] = 30
    requests_per_vcpu_s: Annotated[float, Meta(description="requests/s that a vCPU of a tracker takes")] = (
        1_500
    )
    events_per_vcpu_s: Annotated[float, Meta(description="events/s that a vCPU of a worker takes")] = 10_000
    put_s: Annotated[float, Meta(description="seconds that Kinesis takes to confirm a put")] = 0.02
    framed_bytes: Annotated[float, Meta(description="bytes of an event in a full frame, compressed")] = 50
    frame_base_bytes: Annotated[float, Meta(description="bytes that a frame has besides its events")] = 150
    item_bytes: Annotated[float, Meta(description="bytes of an event's own item, overhead included")] = 700
    pack_base_bytes: Annotated[float, Meta(description="bytes that a pack has besides its events")] = 400
    call_s: Annotated[float, Meta(description="seconds that a call of DynamoDB takes a function")] = 0.01
    touches: Annotated[float, Meta(description="share of events that are clicks or conversions")] = 0.1
    matched: Annotated[float, Meta(description="share of events that are conversions with their click")] = (
        0.01
    )
    match_bytes: Annotated[float, Meta(description="bytes of a match, overhead included")] = 500
    state_base_bytes: Annotated[float, Meta(description="bytes of a commit besides what it tells")] = 300
    tally_bytes: Annotated[float, Meta(description="bytes of an event in a commit of `tally`")] = 26
    tally_program_bytes: Annotated[float, Meta(description="bytes of a program in a commit of `tally`")] = 30
    guard_bytes: Annotated[float, Meta(description="bytes of a click in a commit of `guard`")] = 22
    matcher_bytes: Annotated[
        float, Meta(description="bytes of a click or conversion in a commit of `matcher`")
    ] = 112
    item_cpu_s: Annotated[float, Meta(description="CPU seconds of `persist` for an item of an event")] = 60e-6
    packed_cpu_s: Annotated[float, Meta(description="CPU seconds of `persist` for an event, packed")] = 15e-6
    poll_s: Annotated[float, Meta(description="seconds between Lambda's reads of a shard")] = 1
    message_bytes: Annotated[float, Meta(description="bytes of a message that Redis sends to trackers")] = 300


FRAME_MOST_BYTES = 24_000
SHARD_BYTES_S = 1_000_000
SHARD_RECORDS_S = 1_000
SHARD_READ_BYTES_S = 2_000_000
"""For all that read a shard together, but by enhanced fan-out."""
READING_AGENTS = 3
"""Of the event stream: `tally`, `guard`, and what makes touches for `matcher`. One agent reads each of the
other streams."""
INVOCATION_BYTES = 6_000_000
RECORD_IN_JSON_BYTES = 600
"""What a record takes in an invocation besides its data, which is in base64."""
CALLS_AT_ONCE = 8
STATEMENTS_PER_CALL = 25


class Traffic(Struct, frozen=True, kw_only=True):
    """A deployment under a steady rate, one event a request."""

    deployment: Deployment
    requests_s: float
    assume: Assumptions = Assumptions()

    @property
    def tracker_tasks(self) -> int:
        tracker = self.deployment.tracker
        by_requests = self.requests_s * 60 / tracker.requests_per_task_minute
        return max(math.ceil(by_requests), _tasks(tracker, self.requests_s / self.assume.requests_per_vcpu_s))

    @property
    def worker_tasks(self) -> int:
        return _tasks(self.deployment.workers, self.requests_s / self.assume.events_per_vcpu_s)

    @property
    def shards(self) -> int:
        """Of the event stream. One on demand has what it needs, and four at least."""
        stream = self.deployment.event_stream
        return stream.shards if stream.mode == "provisioned" else max(4, self._needed_shards)

    @property
    def leases(self) -> int:
        """One for each shard and each agent that reads it."""
        others = self.deployment.update_stream.shards + self.deployment.touch_stream.shards
        return READING_AGENTS * self.shards + others

    @property
    def fits(self) -> bool:
        """Whether the profile's largest number of tasks, and its shards, take the rate."""
        enough = self.tracker_tasks <= self.deployment.tracker.tasks_max
        return enough and self.shards >= self._needed_shards

    @property
    def frames_s(self) -> float:
        """A lane sends what piled up during the put before, or a lone event at once (tracker/intake.py)."""
        lanes = self.tracker_tasks * self._shards_for_frames
        rate, put_s = self.requests_s / lanes, self.assume.put_s
        puts_s = 1 / (put_s + math.exp(-rate * put_s) / rate)
        records = distinct(self._keys, rate / puts_s) * puts_s
        return lanes * max(records, rate * self.assume.framed_bytes / FRAME_MOST_BYTES)

    @property
    def framed_bytes_s(self) -> float:
        return self.requests_s * self.assume.framed_bytes + self.frames_s * self.assume.frame_base_bytes

    @property
    def batches_s(self) -> float:
        """Invocations of `persist`: one for each window of each lane that had events in it, or more where
        an invocation holds no more."""
        lanes = self.shards * self._keys
        windows_s = lanes * -math.expm1(-self.requests_s / lanes * self.window_s) / self.window_s
        return max(windows_s, self.frames_s / self._records_most)

    @property
    def window_s(self) -> float:
        return max(self.assume.poll_s, self.deployment.persist.source.batching_window_ms / 1_000)

    @property
    def events_per_batch(self) -> float:
        return self.requests_s / self.batches_s

    @property
    def programs_per_batch(self) -> float:
        return distinct(self.assume.programs, self.events_per_batch)

    @property
    def counted_s(self) -> float:
        """How often some program of some batch is counted."""
        return self.batches_s * self.programs_per_batch

    @property
    def told_s(self) -> float:
        """What `persist` puts on the update stream: totals, and of each batch how far behind it is."""
        return self.counted_s + self.batches_s

    @property
    def refreshes_s(self) -> float:
        """Invocations of `refresh`, at most: one for each read of a shard that finds something."""
        return min(self.told_s, self.deployment.update_stream.shards / self.assume.poll_s)

    @property
    def between_zones_bytes_s(self) -> float:
        """Messages of Redis to every tracker, of which those in its own zone are no such thing: totals, and
        how far behind each function and agent is on each shard."""
        messages_s = self.told_s + self.leases * 1_000 / DEFAULT_REPORT_MS
        elsewhere = 1 - 1 / self.deployment.network.zones
        return messages_s * self.assume.message_bytes * self.tracker_tasks * elsewhere

    @property
    def public_addresses(self) -> int:
        """The load balancer's, and those of a NAT gateway or of tasks."""
        network = self.deployment.network
        tasks = self.tracker_tasks + self.worker_tasks
        others = {"endpoints": 0, "nat": network.nat_gateways, "public": tasks}
        return network.zones + others[network.egress]

    @property
    def pack_bytes(self) -> float:
        events = self.events_per_batch / self.programs_per_batch
        return self.assume.pack_base_bytes + events * self.assume.framed_bytes

    @property
    def _records_most(self) -> float:
        """What an invocation holds."""
        in_json = RECORD_IN_JSON_BYTES + 4 / 3 * self.framed_bytes_s / self.frames_s
        return min(self.deployment.persist.source.batch_size, INVOCATION_BYTES / in_json)

    @property
    def _keys(self) -> int:
        return self.deployment.persist.source.parallelization_factor

    @property
    def _needed_shards(self) -> int:
        """By what is put, and by what is read: by the agents, and by `persist` where it reads as they do."""
        readers = READING_AGENTS + (0 if self.deployment.persist.enhanced_fan_out else 1)
        each_byte = max(1 / SHARD_BYTES_S, readers / SHARD_READ_BYTES_S)
        return math.ceil(max(self.framed_bytes_s * each_byte, self.frames_s / SHARD_RECORDS_S))

    @property
    def _shards_for_frames(self) -> int:
        stream = self.deployment.event_stream
        return stream.shards if stream.mode == "provisioned" else 4


def _tasks(service: Service, vcpus: float) -> int:
    """As many as keep their CPU at its target, and no fewer than there always are."""
    each = service.cpu / 1_024 * service.cpu_target_percent / 100
    return max(service.tasks_min, math.ceil(vcpus / each))


def distinct(kinds: int, drawn: float) -> float:
    """How many of `kinds` are among so many drawn, all alike."""
    return kinds * -math.expm1(drawn * math.log1p(-1 / kinds)) if kinds > 1 else 1
