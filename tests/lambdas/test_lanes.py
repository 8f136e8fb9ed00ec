import pytest

from lambdas.lanes import MOST_ATTEMPTS, Lanes, advanced
from schemas.dynamodb import TOTALS_KEY, LaneTotals, lane_from_item, lane_item
from schemas.errors import UnavailableError
from schemas.programs import Totals
from tests.lambdas.memory import MemoryDynamoDB, Steps, client_error

ONE = Totals(views=1)


@pytest.fixture
def dynamodb() -> MemoryDynamoDB:
    return MemoryDynamoDB(Steps(), {"totals": TOTALS_KEY})


@pytest.fixture
def lanes(dynamodb: MemoryDynamoDB) -> Lanes:
    return Lanes(dynamodb, "totals")


def test_a_new_lane_holds_every_record() -> None:
    assert advanced(None, {"8": ONE, "9": Totals(clicks=2)}) == LaneTotals("9", Totals(views=1, clicks=2))


def test_only_records_past_the_fence_are_added() -> None:
    held = LaneTotals("9", Totals(views=5))

    assert advanced(held, {"8": ONE, "9": ONE, "10": Totals(invalid=1)}) == LaneTotals(
        "10", Totals(views=5, invalid=1)
    )


def test_a_lane_that_holds_every_record_stays() -> None:
    assert advanced(LaneTotals("10", ONE), {"9": ONE, "10": ONE}) is None


def test_totals_are_the_sum_over_every_page_of_lanes(lanes: Lanes) -> None:
    for number in range(5):
        lanes.add("p", f"shard/{number}", {"1": Totals(views=1, clicks=number)})
    lanes.add("q", "shard/0", {"1": ONE})

    assert lanes.totals("p") == Totals(views=5, clicks=10)


def test_a_program_never_counted_has_no_totals(lanes: Lanes) -> None:
    assert lanes.totals("p") == Totals()


def test_adding_again_changes_nothing(lanes: Lanes) -> None:
    lanes.add("p", "lane", {"1": ONE, "2": ONE})
    lanes.add("p", "lane", {"1": ONE, "2": ONE, "3": ONE})

    assert lanes.totals("p") == Totals(views=3)


@pytest.mark.parametrize("before", [{}, {"1": ONE}], ids=["new lane", "old lane"])
def test_a_fence_moved_by_another_delivery_is_taken_over(
    dynamodb: MemoryDynamoDB, lanes: Lanes, before: dict[str, Totals]
) -> None:
    lanes.add("p", "lane", before)
    steps = dynamodb.steps

    def overtake(step: str) -> None:
        if step == "after get_item":
            steps.hook = lambda step: None
            lanes.add("p", "lane", {"1": ONE, "2": ONE})

    steps.hook = overtake
    lanes.add("p", "lane", {"1": ONE, "2": ONE, "3": ONE})

    assert lanes.totals("p") == Totals(views=3)


@pytest.mark.parametrize("corrections", [1, 2])
def test_a_correction_made_meanwhile_is_kept(
    dynamodb: MemoryDynamoDB, lanes: Lanes, corrections: int
) -> None:
    lanes.add("p", "lane", {"1": ONE})
    (key,) = dynamodb.tables["totals"]
    corrected = LaneTotals("1", Totals(views=3), corrections)

    def correct(step: str) -> None:
        if step == "after get_item":
            dynamodb.steps.hook = lambda step: None
            dynamodb.tables["totals"][key] = lane_item("p", "lane", corrected)

    dynamodb.steps.hook = correct
    lanes.add("p", "lane", {"2": ONE})

    item = dynamodb.tables["totals"][key]
    assert lane_from_item(item) == LaneTotals("2", Totals(views=4), corrections)


def test_a_fence_that_never_stands_still_is_an_outage(dynamodb: MemoryDynamoDB, lanes: Lanes) -> None:
    lanes.add("p", "lane", {"1": ONE})
    (held,) = dynamodb.tables["totals"].values()
    contended = [client_error("ConditionalCheckFailedException", item=held) for _ in range(MOST_ATTEMPTS)]
    dynamodb.steps.faults["put_item"] += contended

    with pytest.raises(UnavailableError):
        lanes.add("p", "lane", {"1": ONE, "2": ONE})
