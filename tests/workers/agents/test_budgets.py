import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.facts import Facts, is_spent
from schemas.programs import Totals
from schemas.updates import (
    BudgetReached,
    CachePurged,
    ProgramChanged,
    ProgramDeleted,
    ProgramTotals,
    Update,
    VisitorFlagged,
)
from tests.factories import program
from workers.agents.budgets import Spending, after, budgets
from workers.runtime.testing import test_context

ID = "212313"


def changed(version: int, budget: int | None) -> ProgramChanged:
    return ProgramChanged(program=program(version=version, budget=budget))


def stored(views: int, *, invalid: int = 0) -> ProgramTotals:
    return ProgramTotals(program_id=ID, totals=Totals(views=views, invalid=invalid))


def reached(counted: int) -> BudgetReached:
    return BudgetReached(program_id=ID, counted=counted)


async def told(*updates: Update) -> list[Update]:
    async with test_context(budgets) as context:
        await context.put(*updates)
    return context.sent["updates"]


async def test_a_budget_that_is_reached_is_told_once() -> None:
    assert await told(changed(1, 5), stored(4), stored(6), stored(7), stored(6)) == [reached(6)]


async def test_only_what_counts_spends_a_budget() -> None:
    assert await told(changed(1, 5), stored(4, invalid=9)) == []


async def test_a_raised_budget_is_told_of_again_when_it_is_reached() -> None:
    updates: list[Update] = [changed(1, 5), stored(5), changed(2, 8), stored(7), stored(8), stored(9)]

    assert await told(*updates) == [reached(5), reached(8)]


async def test_a_budget_lowered_below_what_is_counted_is_told_at_once() -> None:
    assert await told(changed(1, 9), stored(6), changed(2, 5)) == [reached(6)]


async def test_a_budget_raised_no_further_than_was_told_needs_no_telling() -> None:
    assert await told(changed(1, 5), stored(8), changed(2, 7), stored(9)) == [reached(8)]


async def test_an_older_change_says_nothing_of_the_budget() -> None:
    assert await told(changed(2, 9), changed(1, 5), ProgramDeleted(program_id=ID, version=1), stored(9)) == [
        reached(9)
    ]


@pytest.mark.parametrize("last", [changed(2, None), ProgramDeleted(program_id=ID, version=2)])
async def test_without_a_budget_nothing_is_told(last: Update) -> None:
    assert await told(changed(1, 5), last, stored(9)) == []


async def test_programs_are_told_apart() -> None:
    other = ProgramTotals(program_id="other", totals=Totals(clicks=9))

    assert await told(changed(1, 5), other, stored(4)) == []


async def test_of_a_program_without_a_budget_nothing_is_written() -> None:
    async with test_context(budgets) as context:
        await context.put(
            stored(5),
            CachePurged(version=1),
            reached(5),
            VisitorFlagged(program_id=ID, visitor="v", until_ms=1, clicks=1),
        )

        assert list(context.tables["spendings"]) == []


updates: st.SearchStrategy[Update] = (
    st.builds(changed, st.integers(1, 9), st.none() | st.integers(0, 9))
    | st.builds(stored, st.integers(0, 12))
    | st.builds(lambda version: ProgramDeleted(program_id=ID, version=version), st.integers(1, 9))
)


@given(st.lists(updates, max_size=20))
async def test_what_is_told_says_of_every_budget_whether_it_is_spent(some: list[Update]) -> None:
    spending, counted = Spending(), 0
    for update in some:
        spending = after(spending, update)

    for each in await told(*some):
        assert isinstance(each, BudgetReached) and each.counted > counted
        counted = each.counted

    assert is_spent(spending.budget, Facts(counted=counted)) == is_spent(
        spending.budget, Facts(counted=spending.counted)
    )
