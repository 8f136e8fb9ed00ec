"""What a load has come to so far: counted in each process, added up over all."""

from collections.abc import Iterable

from msgspec import Struct, field

from tests.load.histogram import Histogram


class Tally(Struct, kw_only=True):
    """Events, unless it says requests. It grows; nothing is taken back."""

    requests: int = 0
    """Begun."""
    unsent: int = 0
    """Requests that were due, and that a load ended without having begun."""
    sent: int = 0
    acknowledged: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    """Events that an attempt did not get acknowledged, by reason: one sent again may be here as often."""
    latency: Histogram = field(default_factory=Histogram)
    """Of requests: from when one was due until the last of its events was acknowledged."""
    late: Histogram = field(default_factory=Histogram)
    """Of requests: from when one was due until it was sent."""
    busy_s: float = 0.0
    """CPU time of the processes."""
    ran_s: float = 0.0
    """Of the process that has been sending for the longest."""
    lost: int = 0
    """Given up: stored or not, either is right."""
    refused: int = 0
    """What no attempt could get acknowledged."""

    @property
    def unanswered(self) -> int:
        return self.sent - self.acknowledged - self.lost - self.refused

    def fail(self, reason: str, events: int = 1) -> None:
        self.errors[reason] = self.errors.get(reason, 0) + events


def added(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for each in tallies:
        total.requests += each.requests
        total.unsent += each.unsent
        total.sent += each.sent
        total.acknowledged += each.acknowledged
        total.busy_s += each.busy_s
        total.ran_s = max(total.ran_s, each.ran_s)
        total.lost += each.lost
        total.refused += each.refused
        total.latency.merge(each.latency)
        total.late.merge(each.late)
        for reason, events in each.errors.items():
            total.fail(reason, events)
    return total
