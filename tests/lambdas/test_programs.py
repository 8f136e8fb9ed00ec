from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.programs import MOST_ATTEMPTS, NOTHING, Programs, merge
from schemas.dynamodb import (
    NEVER,
    PROGRAMS_KEY,
    StoredProgram,
    program_from_item,
    program_item,
    tombstone_item,
)
from schemas.errors import UnavailableError
from schemas.facts import FLAGGED_MAX, Facts
from schemas.programs import MAX_SAFE_INTEGER, Program
from schemas.updates import BudgetReached, CoreDataUpdate, ProgramChanged, ProgramDeleted, VisitorFlagged
from tests.factories import NOW_MS, VERSION, applied, program
from tests.lambdas.memory import MemoryDynamoDB, Steps, client_error

ID = "212313"
LATER_MS = NOW_MS + 60_000
MANY = FLAGGED_MAX + 1


def change(version: int, **fields: object) -> ProgramChanged:
    return ProgramChanged(program=program(version=version, name=f"version {version}", **fields))


def deletion(version: int) -> ProgramDeleted:
    return ProgramDeleted(program_id=ID, version=version)


def reached(counted: int) -> BudgetReached:
    return BudgetReached(program_id=ID, counted=counted)


def flagged(number: int = 1, until_ms: int = LATER_MS) -> VisitorFlagged:
    return VisitorFlagged(program_id=ID, visitor=f"visitor-{number}", until_ms=until_ms, clicks=100)


def after(*updates: CoreDataUpdate) -> StoredProgram:
    return reduce(lambda held, update: merge(held, update, now_ms=NOW_MS), updates, NOTHING)


def held_program(*updates: CoreDataUpdate) -> Program:
    held = after(*updates).program
    assert held is not None
    return held


def test_the_first_change_has_its_writers_version() -> None:
    assert after(change(7)) == StoredProgram(7, applied(change(7).program), 7)


def test_the_newest_writer_wins_whatever_facts_have_done_to_the_version() -> None:
    facts = [reached(counted) for counted in range(1, 5)]

    held = after(change(2), *facts, change(3))

    assert (held.version, held.written_version) == (VERSION + 4, 3)
    assert held.program is not None and held.program.name == "version 3"


def test_the_version_of_a_fact_is_the_microsecond_of_the_change() -> None:
    ahead = VERSION + 60_000_000

    assert after(change(2), reached(1)).version == VERSION
    assert after(change(ahead), reached(1)).version == ahead + 1


def test_a_newer_version_of_a_writer_is_the_version() -> None:
    assert after(change(2), reached(1), change(VERSION + 9)).version == VERSION + 9


def test_what_says_nothing_new_changes_nothing() -> None:
    held = after(change(2, budget=5), reached(5), flagged())

    for update in (change(2), change(1), deletion(2), reached(5), reached(4), flagged(), flagged(1, NOW_MS)):
        assert merge(held, update, now_ms=NOW_MS) is held


def test_a_writer_does_not_say_what_the_system_finds_out() -> None:
    spent = change(1, budget=5, budget_spent=True, flooded_until_ms=LATER_MS, flagged={"v": LATER_MS})

    assert held_program(spent) == applied(program(version=1, name="version 1", budget=5))


@pytest.mark.parametrize(
    ("updates", "spent"),
    [
        ([change(1, budget=5), reached(5)], True),
        ([reached(5), change(1, budget=5)], True),
        ([change(1, budget=5), reached(5), change(2, budget=6)], False),
        ([change(1, budget=5), reached(5), change(2, budget=6), reached(6)], True),
        ([change(1, budget=6), reached(5), change(2, budget=4)], True),
        ([change(1, budget=5), reached(5), change(2)], False),
        ([change(1, budget=5), reached(5), deletion(2), change(3, budget=5)], True),
        ([change(1, budget=0)], True),
    ],
)
def test_a_budget_is_spent_while_it_is_not_above_what_is_counted(
    updates: Sequence[CoreDataUpdate], spent: bool
) -> None:
    assert held_program(*updates).budget_spent is spent


def test_a_fact_that_overtakes_the_first_change_waits_for_it() -> None:
    held = after(reached(5), flagged())

    assert (held.program, held.written_version) == (None, NEVER)
    assert held_program(reached(5), flagged(), change(0, budget=5)) == applied(
        program(version=VERSION + 2, name="version 0", budget=5),
        written_version=0,
        budget_spent=True,
        flagged={"visitor-1": LATER_MS},
    )


def test_a_deletion_forgets_no_fact() -> None:
    held = after(change(1), reached(5), deletion(2))

    assert held == StoredProgram(VERSION + 1, None, 2, Facts(counted=5))


def test_one_visitor_cannot_pause_a_program() -> None:
    flags = [flagged(1, LATER_MS + number) for number in range(2 * MANY)]

    assert held_program(change(1), *flags).flooded_until_ms is None


def test_more_visitors_than_there_is_room_for_pause_a_program() -> None:
    held = held_program(change(1), *(flagged(number) for number in range(MANY)))

    assert held.flooded_until_ms == LATER_MS
    assert len(held.flagged or {}) == FLAGGED_MAX


def test_flags_that_are_over_go_with_the_next_change() -> None:
    held = after(change(1), flagged())

    assert merge(held, change(2), now_ms=LATER_MS).facts == Facts()
    assert merge(held, flagged(), now_ms=LATER_MS) is held


def test_a_version_stays_one_that_redis_holds_exactly() -> None:
    assert after(change(MAX_SAFE_INTEGER), reached(5)).version == MAX_SAFE_INTEGER


VERSIONS = range(1, 6)
changes: list[CoreDataUpdate] = [deletion(each) if each == 3 else change(each, budget=3) for each in VERSIONS]
facts: list[CoreDataUpdate] = [
    *(reached(counted) for counted in VERSIONS),
    *(flagged(number, LATER_MS + number % 7) for number in range(MANY)),
]


@given(st.permutations([*changes, *facts]), st.lists(st.sampled_from([*changes, *facts]), max_size=9))
def test_any_order_and_repetition_ends_the_same(
    order: list[CoreDataUpdate], again: list[CoreDataUpdate]
) -> None:
    held = after(*order, *again)

    assert held.program is not None
    assert (held.program.name, held.program.budget_spent) == ("version 5", True)
    assert (held.program.version, held.program.written_version) == (held.version, 5)
    assert held.facts == after(*facts).facts
    assert held.program.flooded_until_ms == held.facts.flooded_until_ms == LATER_MS


@given(st.lists(st.sampled_from([*changes, *facts]), max_size=30))
def test_the_version_grows_with_every_change_and_nothing_else(order: list[CoreDataUpdate]) -> None:
    held = [after(*order[:most]) for most in range(len(order) + 1)]

    for before, now in pairwise(held):
        assert now == before or now.version > before.version


@pytest.fixture
def dynamodb() -> MemoryDynamoDB:
    return MemoryDynamoDB(Steps(), {"programs": PROGRAMS_KEY})


def programs(dynamodb: MemoryDynamoDB) -> Programs:
    return Programs(dynamodb, "programs", lambda: NOW_MS)


def test_what_is_applied_is_held(dynamodb: MemoryDynamoDB) -> None:
    updates: list[CoreDataUpdate] = [reached(5), change(2, budget=5), flagged(), deletion(3), change(4)]

    for update in updates:
        stored = programs(dynamodb).apply(update)

        assert program_from_item(dynamodb.tables["programs"][(ID,)]) == stored


def test_items_of_older_code_take_facts_and_changes(dynamodb: MemoryDynamoDB) -> None:
    dynamodb.tables["programs"][(ID,)] = program_item(program(version=5, budget=5))
    dynamodb.tables["programs"][("gone",)] = tombstone_item("gone", 5)

    stored = programs(dynamodb).apply(reached(5))
    gone = programs(dynamodb).apply(BudgetReached(program_id="gone", counted=5))

    assert stored.program == program(version=VERSION, written_version=5, budget=5, budget_spent=True)
    assert gone == StoredProgram(VERSION, None, 5, Facts(counted=5))
    assert programs(dynamodb).apply(change(5)) == stored


@pytest.mark.parametrize("before", [[], [change(1, budget=5)]])
def test_another_delivery_in_between_is_merged(
    dynamodb: MemoryDynamoDB, before: list[CoreDataUpdate]
) -> None:
    for update in before:
        programs(dynamodb).apply(update)
    in_between: Iterator[CoreDataUpdate] = iter([reached(5), change(3, budget=5)])

    def interfere(step: str) -> None:
        if step == "after get_item" and (update := next(in_between, None)):
            programs(dynamodb).apply(update)

    dynamodb.steps.hook = interfere
    stored = programs(dynamodb).apply(flagged())

    assert stored.facts == Facts(counted=5, flagged={"visitor-1": LATER_MS})
    assert stored.program is not None and stored.program.name == "version 3"


def test_an_item_that_keeps_changing_is_left_for_later(dynamodb: MemoryDynamoDB) -> None:
    refusal = client_error("ConditionalCheckFailedException", item=program_item(program()))
    dynamodb.steps.faults["put_item"] += [refusal] * MOST_ATTEMPTS

    with pytest.raises(UnavailableError, match="contended"):
        programs(dynamodb).apply(reached(5))
