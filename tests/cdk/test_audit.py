from cdk.local.audit import Audit, Entry, audit
from schemas.programs import Totals

VIEW = Entry("p1", "00000000-0000-4000-8000-000000000001", "views")
CLICK = Entry("p1", "00000000-0000-4000-8000-000000000002", "clicks")
INVALID = Entry("p2", "00000000-0000-4000-8000-000000000003", "invalid")
ALL = [VIEW, CLICK, INVALID]
TOTALS = {"p1": Totals(views=1, clicks=1), "p2": Totals(invalid=1)}


def test_a_ledger_balances_when_acknowledged_stored_and_counted_agree() -> None:
    found = audit(acknowledged=ALL, stored=ALL, totals=TOTALS)

    assert found.balanced
    assert found.problems() == []


def test_a_missing_event_is_named() -> None:
    found = audit(acknowledged=ALL, stored=[VIEW, INVALID], totals=TOTALS | {"p1": Totals(views=1)})

    assert not found.balanced
    assert found.missing == [CLICK]
    assert found.problems() == [f"acknowledged and not stored: {CLICK.message_id} of p1 (clicks)"]


def test_an_event_that_nobody_sent_is_named() -> None:
    found = audit(acknowledged=[VIEW, INVALID], stored=ALL, totals=TOTALS)

    assert not found.balanced
    assert found.extra == [CLICK]
    assert CLICK.message_id in found.problems()[0]


def test_an_event_stored_twice_is_named() -> None:
    found = audit(acknowledged=ALL, stored=[*ALL, VIEW], totals=TOTALS)

    assert found.repeated == [VIEW]
    assert found.problems() == [f"stored more than once: {VIEW.message_id} of p1 (views)"]


def test_a_wrong_total_is_named() -> None:
    found = audit(acknowledged=ALL, stored=ALL, totals=TOTALS | {"p1": Totals(views=2, clicks=1)})

    assert found.problems() == ["counted wrong: p1 has 1 views, its total says 2"]


def test_a_total_of_a_program_without_events_is_wrong() -> None:
    found = audit(acknowledged=ALL, stored=ALL, totals=TOTALS | {"p3": Totals(conversions=1)})

    assert found.problems() == ["counted wrong: p3 has 0 conversions, its total says 1"]


def test_an_event_stored_under_another_count_is_missing_and_extra() -> None:
    wrong = CLICK._replace(counts_as="views")

    found = audit(acknowledged=ALL, stored=[VIEW, wrong, INVALID], totals=TOTALS | {"p1": Totals(views=2)})

    assert found.missing == [CLICK]
    assert found.extra == [wrong]


def test_what_was_there_before_or_never_answered_may_be_stored() -> None:
    found = audit(acknowledged=[VIEW], stored=ALL, totals=TOTALS, expected_extra=[CLICK, INVALID])

    assert found.balanced
    assert _row(found, "p1", "clicks") == (0, 1, 1)


def _row(found: Audit, program_id: str, counts_as: str) -> tuple[int, int, int]:
    (row,) = (row for row in found.rows if (row.program_id, row.counts_as) == (program_id, counts_as))
    return row.acknowledged, row.stored, row.total
