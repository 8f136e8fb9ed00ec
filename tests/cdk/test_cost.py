import msgspec
import pytest

from cdk import prices
from cdk.cost import bill
from cdk.cost_page import CLICKSTREAM, COMPARABLE, PAGE, RATES, itemised, page
from cdk.lines import PARTS, Line, total_usd, usd_of
from cdk.profiles import LARGE, PROFILES, SMALL, STANDARD, Deployment, deployment
from cdk.trade_offs import LATER, SPOT_TRACKERS
from cdk.traffic import READING_AGENTS, Assumptions, Traffic, distinct


def lines(profile: Deployment, rate: float, **assumed: float) -> list[Line]:
    assume = msgspec.structs.replace(Assumptions(), **assumed)
    return bill(Traffic(deployment=profile, requests_s=rate, assume=assume))


def usd(profile: Deployment, rate: float, **assumed: float) -> float:
    return total_usd(lines(profile, rate, **assumed))


def line(found: list[Line], what: str) -> float:
    return sum(each.usd for each in found if what in each.what)


def test_the_page_is_what_the_model_says() -> None:
    assert PAGE.read_text() == page(), "run `make cost`"


def comparable(profile: Deployment, rate: float) -> float:
    return usd_of(lines(profile, rate), *COMPARABLE)


def test_a_thousand_a_second_are_taken_in_and_stored_for_less_than_clickstreams_ingestion() -> None:
    assert comparable(STANDARD, 1_000) < CLICKSTREAM[1_000]


def test_a_hundred_a_second_are_taken_in_and_stored_for_less_than_150_dollars() -> None:
    assert comparable(SMALL, 100) < 150


def test_ten_a_second_are_stored_for_less_than_clickstreams_ingestion_where_batches_may_wait() -> None:
    patient = deployment({**LATER, **SPOT_TRACKERS})

    assert usd_of(lines(SMALL, 10), "taking in") < CLICKSTREAM[10]
    assert comparable(patient, 10) < CLICKSTREAM[10] < comparable(SMALL, 10)


def test_the_parts_add_up() -> None:
    found = lines(STANDARD, 1_000)

    assert total_usd(found) == pytest.approx(usd_of(found, *PARTS))
    assert all(each.usd > 0 for each in found)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_more_requests_cost_more_and_less_each(profile: Deployment) -> None:
    bills = [usd(profile, rate) for rate in RATES]

    assert bills == sorted(bills)
    each = [cost / rate for cost, rate in zip(bills, RATES, strict=True)]
    assert each == sorted(each, reverse=True)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
@pytest.mark.parametrize("rate", RATES)
def test_packs_are_never_dearer_than_items(profile: Deployment, rate: int) -> None:
    assert usd(profile, rate) < usd(itemised(profile), rate)


def test_where_each_event_is_an_item_its_write_unit_is_the_largest_line() -> None:
    found = lines(itemised(STANDARD), 1_000)
    largest = max(found, key=lambda each: each.usd)

    assert largest.what == "DynamoDB, writes of events and totals"
    assert largest.usd > 1_000 * 730 * 3_600 * prices.WRITE_UNIT.usd


def test_longer_batches_make_fewer_write_units() -> None:
    short = deployment({"profile": "standard", "persist.source.batchingWindowMs": "1000"})

    assert (
        line(lines(STANDARD, 1_000), "writes of events") < line(lines(short, 1_000), "writes of events") / 3
    )


def test_a_waf_costs_by_the_request() -> None:
    guarded = deployment({"profile": "large", "tracker.requestsPerAddress5Minutes": "100000"})

    assert line(lines(guarded, 10_000), "WAF") == pytest.approx(15_774, abs=10)
    assert line(lines(LARGE, 10_000), "WAF") == 0


def test_connections_of_one_request_make_the_load_balancer_dearer() -> None:
    one = lines(STANDARD, 1_000, requests_per_connection=1)

    assert line(one, "capacity units") == pytest.approx(730 * 40 * 0.008)


def test_shards_are_cheaper_than_on_demand_under_a_steady_rate() -> None:
    on_demand = deployment({"profile": "standard", "eventStream.mode": "onDemand"})

    assert line(lines(on_demand, 1_000), "event stream") > 3 * line(lines(STANDARD, 1_000), "event stream")


def test_while_tasks_are_few_public_addresses_are_cheaper_than_nat_and_that_than_endpoints() -> None:
    public, nat, endpoints = (
        usd(deployment({"network.egress": egress}), 10) for egress in ("public", "nat", "endpoints")
    )

    assert public < nat - 20 < endpoints - 20


def test_each_public_task_has_an_address_to_pay() -> None:
    hour = 730 * prices.PUBLIC_ADDRESS.usd
    found = lines(SMALL, 10)

    assert line(found, "addresses of trackers") == pytest.approx(2 * hour)
    assert line(found, "addresses of workers") == pytest.approx(hour)


def test_a_spot_task_is_cheaper_and_those_that_stay_on_demand_are_not() -> None:
    on_demand = deployment({"profile": "standard", "workers.spot": "false"})
    spot, full = (line(lines(each, 1_000), "worker task") for each in (STANDARD, on_demand))

    assert spot == pytest.approx(full * (1 - prices.SPOT_DISCOUNT / 2))


def test_the_workers_pay_for_what_they_read() -> None:
    nat = lines(deployment({"profile": "standard", "network.egress": "nat"}), 1_000)

    assert line(nat, "events read") == pytest.approx(READING_AGENTS * line(nat, "NAT gateway, events") / 4)


def test_a_shard_that_all_read_together_takes_half_a_megabyte_a_second() -> None:
    fan_out = deployment({"profile": "large", "persist.enhancedFanOut": "true", "eventStream.shards": "1"})
    shared = deployment({"profile": "large", "eventStream.shards": "1"})
    crowded, alone = (
        Traffic(deployment=each, requests_s=1_000, assume=Assumptions(framed_bytes=550)).fits
        for each in (shared, fan_out)
    )

    assert (crowded, alone) == (False, True)


def test_every_node_that_a_profile_takes_has_a_price() -> None:
    assert {profile.cache.node_type for profile in PROFILES.values()} <= prices.NODES.keys()
    valkey = deployment({"cache.engine": "valkey"})
    assert line(lines(valkey, 10), "Valkey") == pytest.approx(0.8 * line(lines(SMALL, 10), "Redis"))


def test_a_rate_that_a_profile_cannot_take_is_told() -> None:
    assert Traffic(deployment=STANDARD, requests_s=1_000).fits
    assert not Traffic(deployment=SMALL, requests_s=10_000).fits


def test_a_lone_event_is_a_record_and_many_share_one() -> None:
    assert Traffic(deployment=SMALL, requests_s=1).frames_s == pytest.approx(1, rel=0.01)
    busy = Traffic(deployment=SMALL, requests_s=10_000)
    assert 4 < busy.requests_s / busy.frames_s < 24_000 / 50


def test_few_of_many_kinds_are_all_different_and_many_of_few_are_all_of_them() -> None:
    assert distinct(1_000_000, 3) == pytest.approx(3, rel=0.01)
    assert distinct(10, 1_000) == pytest.approx(10)
    assert distinct(1, 5) == 1
