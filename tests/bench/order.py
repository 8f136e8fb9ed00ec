"""What a client is asked to send, and what it saw of the answers."""

import msgspec

from tests.bench.puts import Puts


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to send where. `rate` None is as much as goes; `pid` is whose CPU time is told."""

    port: int
    pid: int
    kind: str
    programs: int = 1
    connections: int = 64
    seconds: float = 2
    rate: float | None = None
    probe: bool = False
    """Whether to ask something that takes no work meanwhile: what it waits is the loop's lag."""
    once: bool = False
    """Each request of the pool a single time, without a warm-up."""


class Latencies(msgspec.Struct, frozen=True):
    """Milliseconds."""

    p50: float
    p99: float
    p999: float
    most: float


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a round saw. `cpu_s` is what the process with `pid` used in `seconds`, and
    `system_s` of it in the system's calls."""

    requests: int
    seconds: float
    cpu_s: float
    system_s: float
    rss_mb: float
    statuses: dict[str, int]
    latency_ms: Latencies
    lag_ms: Latencies | None = None
    puts: Puts | None = None
    """What a tracker has put meanwhile, the warm-up included."""


def latencies(took_s: list[float]) -> Latencies:
    """Percentiles by the nearest rank."""
    ordered = sorted(took_s) or [0.0]
    p50, p99, p999 = (ordered[int(len(ordered) * share)] * 1000 for share in (0.5, 0.99, 0.999))
    return Latencies(p50, p99, p999, ordered[-1] * 1000)
