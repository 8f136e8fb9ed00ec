"""When each request of a load is due, and which events it holds: pure functions of its number."""

from collections.abc import Iterator, Sequence
from itertools import accumulate, count

from tests.load.plan import Plan


class Schedule:
    """An open load: requests are due whether or not those before them were answered.

    So what a slow answer delays is measured as slow, too, and not left out ("coordinated omission",
    Gil Tene, "How NOT to Measure Latency").
    """

    def __init__(self, batch_sizes: Sequence[int], *, rate_per_s: float | None, ramp_s: float = 0.0) -> None:
        self._sizes = batch_sizes
        self._starts = list(accumulate(batch_sizes, initial=0))
        self._rate_per_s = rate_per_s
        self._ramp_s = ramp_s

    def events(self, request: int) -> range:
        """The numbers of its events."""
        turn, place = divmod(request, len(self._sizes))
        first = turn * self._starts[-1] + self._starts[place]
        return range(first, first + self._sizes[place])

    def due_s(self, request: int) -> float:
        """After the beginning. Of a saturation everything is due at once."""
        if self._rate_per_s is None:
            return 0.0
        before = self.events(request).start
        ramped = self._rate_per_s * self._ramp_s / 2
        if before < ramped:
            return float((2 * before * self._ramp_s / self._rate_per_s) ** 0.5)
        return before / self._rate_per_s + self._ramp_s / 2


def requests_of(plan: Plan, process: int) -> Iterator[int]:
    """The requests that one of the processes sends: every so manieth, until an end of the plan."""
    schedule = schedule_of(plan)
    for request in count(process, plan.processes):
        last = schedule.events(request).stop
        if last > plan.events_max or schedule.due_s(request) >= plan.duration_s:
            return
        yield request


def schedule_of(plan: Plan) -> Schedule:
    return Schedule(plan.batch_sizes, rate_per_s=plan.rate_per_s, ramp_s=plan.ramp_s)
