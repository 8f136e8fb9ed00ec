"""What settings are worth, what one has to put up with for them, and what assumptions are worth."""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct

from cdk.profiles import deployment
from cdk.traffic import Assumptions, Traffic


class TradeOff(Struct, frozen=True, kw_only=True):
    """A profile at a rate, with some settings changed."""

    profile: str
    requests_s: int
    settings: Mapping[str, str] = {}
    """As `-c` takes them."""
    meaning: str

    @property
    def traffic(self) -> Traffic:
        chosen = deployment({"profile": self.profile, **self.settings})
        return Traffic(deployment=chosen, requests_s=self.requests_s)


class Otherwise(NamedTuple):
    """Assumptions of which some are others."""

    meaning: str
    assume: Assumptions


LATER = {"persist.source.batchingWindowMs": "30000"}
SPOT_TRACKERS = {"tracker.spot": "true", "tracker.onDemandMin": "1"}

TRADE_OFFS = (
    TradeOff(profile="small", requests_s=10, meaning="as it is"),
    TradeOff(
        profile="small",
        requests_s=10,
        settings={"network.egress": "nat"},
        meaning="tasks have no public address, and one zone's gateway is every task's way out",
    ),
    TradeOff(
        profile="small",
        requests_s=10,
        settings={"network.egress": "endpoints"},
        meaning="tasks have no way out but to the AWS services in use",
    ),
    TradeOff(
        profile="small",
        requests_s=10,
        settings=LATER,
        meaning="stored events, totals and spent budgets are known up to 30 s after they came, not 10 s",
    ),
    TradeOff(
        profile="small",
        requests_s=10,
        settings=SPOT_TRACKERS,
        meaning="AWS may take one of two trackers back, two minutes after it says so",
    ),
    TradeOff(profile="small", requests_s=10, settings=LATER | SPOT_TRACKERS, meaning="both of these"),
    TradeOff(profile="standard", requests_s=1_000, meaning="as it is"),
    TradeOff(
        profile="standard",
        requests_s=1_000,
        settings={"network.egress": "public"},
        meaning="each task has a public address, at which nobody gets in",
    ),
    TradeOff(
        profile="standard",
        requests_s=1_000,
        settings={"cache.engine": "valkey"},
        meaning="another engine, the one that `make run` has",
    ),
    TradeOff(
        profile="standard",
        requests_s=1_000,
        settings={"workers.spot": "false"},
        meaning="no worker waits for spare capacity",
    ),
    TradeOff(
        profile="standard",
        requests_s=1_000,
        settings={"persist.eventStore": "items", "persist.source.batchingWindowMs": "0"},
        meaning="each event is an item of its own within a second, and resends are known for ever",
    ),
)

OTHERWISE = (
    Otherwise("as assumed", Assumptions()),
    Otherwise("20 programs get the events", Assumptions(programs=20)),
    Otherwise("1,000 programs get them", Assumptions(programs=1_000)),
    Otherwise("requests of 2 KB, of which events keep as little", Assumptions(request_bytes=2_000)),
    Otherwise(
        "requests of 2 KB, and events four times as large",
        Assumptions(request_bytes=2_000, framed_bytes=200, item_bytes=1_400),
    ),
    Otherwise("a connection for each request", Assumptions(requests_per_connection=1)),
    Otherwise("answers of 100 bytes, as to pixels", Assumptions(answer_bytes=100)),
)
