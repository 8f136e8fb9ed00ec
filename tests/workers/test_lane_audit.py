from hypothesis import given
from hypothesis import strategies as st

from schemas.dynamodb import LaneTotals, Origin, StoredEvent
from schemas.programs import Totals
from workers.lane_audit import Correction, GivenUp, LaneAudit, rebased

LANE = "shard/0"
ONE = Totals(views=1)
TWO = Totals(views=2)
WRONG = Correction(LANE, LaneTotals("9", ONE), LaneTotals("9", TWO, 1))
RAISED = Correction(LANE, LaneTotals("9", ONE), LaneTotals("12", TWO, 1))
FIRST = Correction(LANE, None, LaneTotals("9", ONE, 1))


def view(sequence_number: str, lane: str = LANE) -> StoredEvent:
    return StoredEvent(Origin(lane, sequence_number), "view", True)


def audit(lanes: dict[str, LaneTotals], *events: StoredEvent, given_up: GivenUp | None = None) -> LaneAudit:
    lane_audit = LaneAudit(lanes, given_up or {})
    for event in events:
        lane_audit.add(event)
    return lane_audit


def test_a_lane_that_holds_what_is_stored_up_to_its_fence_is_right() -> None:
    audited = audit({LANE: LaneTotals("10", TWO)}, view("9"), view("10"), view("11"), view("1", "other/0"))

    assert list(audited.corrections()) == []
    assert audited.uncounted == 2


def test_a_lane_that_holds_less_or_more_is_corrected_behind_the_same_fence() -> None:
    lanes = {"less/0": LaneTotals("9", ONE, 3), "more/0": LaneTotals("9", TWO)}

    audited = audit(lanes, view("8", "less/0"), view("9", "less/0"), view("9", "more/0"))

    assert list(audited.corrections()) == [
        Correction("less/0", lanes["less/0"], LaneTotals("9", TWO, 4)),
        Correction("more/0", lanes["more/0"], LaneTotals("9", ONE, 1)),
    ]


def test_a_lane_whose_events_expire_is_only_ever_raised() -> None:
    held = LaneTotals("9", Totals(views=2, clicks=1))
    stored = StoredEvent(Origin(LANE, "9"), "conversion", True, expires=True)

    (correction,) = audit({LANE: held}, stored).corrections()

    assert correction == Correction(LANE, held, LaneTotals("9", Totals(views=2, clicks=1, conversions=1), 1))


def test_events_count_as_what_they_are() -> None:
    events = [
        StoredEvent(Origin(LANE, "1"), "click", True),
        StoredEvent(Origin(LANE, "2"), "conversion", True),
        StoredEvent(Origin(LANE, "3"), "click", False),
    ]

    (correction,) = audit({LANE: LaneTotals("3", Totals())}, *events).corrections()

    assert correction.right.totals == Totals(clicks=1, conversions=1, invalid=1)


def test_what_was_given_up_moves_the_fence() -> None:
    held = LaneTotals("9", ONE)

    audited = audit({LANE: held}, view("9"), view("100"), view("101"), given_up={LANE: "100"})

    assert list(audited.corrections()) == [Correction(LANE, held, LaneTotals("100", TWO, 1))]
    assert audited.uncounted == 1


def test_a_lane_that_was_given_up_before_any_count_is_made() -> None:
    audited = audit({}, view("7"), view("9"), given_up={LANE: "7"})

    assert list(audited.corrections()) == [Correction(LANE, None, LaneTotals("7", ONE, 1))]


def test_a_lane_that_was_given_up_before_anything_was_stored_is_left_alone() -> None:
    assert list(audit({}, given_up={LANE: "7"}).corrections()) == []


def test_what_was_given_up_behind_the_fence_is_corrected_there() -> None:
    held = LaneTotals("100", ONE)

    audited = audit({LANE: held}, view("7"), view("100"), given_up={LANE: "9"})

    assert list(audited.corrections()) == [Correction(LANE, held, LaneTotals("100", TWO, 1))]


def test_a_lane_that_is_as_it_was_read_is_replaced() -> None:
    assert [rebased(each, each.held) for each in (WRONG, RAISED, FIRST)] == [
        WRONG.right,
        RAISED.right,
        FIRST.right,
    ]


def test_a_lane_that_counted_on_keeps_what_it_counted() -> None:
    now = LaneTotals("11", Totals(views=4, clicks=1))

    assert rebased(WRONG, now) == LaneTotals("11", Totals(views=5, clicks=1), 1)


def test_a_lane_is_audited_anew_where_the_difference_is_not_known_any_more() -> None:
    corrected, first_counted = LaneTotals("9", TWO, 1), LaneTotals("9", ONE)
    counted_past_the_mark = LaneTotals("13", TWO)

    assert rebased(WRONG, corrected) is None
    assert rebased(WRONG, None) is None
    assert rebased(FIRST, first_counted) is None
    assert rebased(RAISED, counted_past_the_mark) is None


@given(events=st.lists(st.integers(0, 30)), fence=st.integers(0, 30), mark=st.integers(0, 30))
def test_a_corrected_lane_is_right(events: list[int], fence: int, mark: int) -> None:
    stored = [view(str(number)) for number in events]
    lanes, given_up = {LANE: LaneTotals(str(fence), TWO)}, {LANE: str(mark)}

    for correction in audit(lanes, *stored, given_up=given_up).corrections():
        lanes[LANE] = correction.right

    again = audit(lanes, *stored, given_up=given_up)
    assert list(again.corrections()) == []
    assert lanes[LANE].totals.views == sum(number <= int(lanes[LANE].sequence_number) for number in events)
