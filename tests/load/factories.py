"""Plans and what comes of them, for tests of the load; each factory takes any field as a keyword."""

from typing import Any

from msgspec.structs import replace

from tests.load.fleet import Moment, Progress
from tests.load.histogram import Histogram
from tests.load.plan import Plan, Target
from tests.load.tally import Tally
from tests.tracker.server import ID

_PLAN = Plan(
    run="0190e8a36a1c",
    trackers=["http://127.0.0.1:8080"],
    programs=(Target(ID, "124"),),
    rate_per_s=500.0,
    duration_s=10.0,
    wrong_checksums=0.0,
    connections=4,
)


def plan(**fields: Any) -> Plan:
    """A steady load of valid events on one tracker."""
    return replace(_PLAN, **fields)


def histogram(*values_ms: float) -> Histogram:
    made = Histogram()
    for value_ms in values_ms:
        made.add(value_ms)
    return made


def progress(**fields: Any) -> Progress:
    """A load of ten events that took a second, of which one failed once."""
    latency = histogram(*range(1, 11))
    tally = Tally(
        requests=10, sent=10, acknowledged=10, errors={"503 draining": 1}, latency=latency, ran_s=1.0
    )
    moment = Moment(at_s=1.0, acknowledged_per_s=10.0, failed_per_s=1.0, latency=latency)
    return replace(Progress(plan=plan(), tally=tally, moments=[moment]), **fields)
