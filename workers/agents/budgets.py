"""Tells when a program's budget is reached: once, and again when a raised budget is.

Budgets come by as writers' changes, what is stored as totals. It is told as a fact: `refresh` marks the
program spent while its budget is not above what was counted (schemas/facts.py), so to tell it again, after a
kill or a move of the shard, changes nothing. A budget is known from the change that brought it: one that is
older than what the update stream still holds has to be written once more after the first start.
"""

import msgspec
from msgspec.structs import replace

from schemas.updates import BudgetReached, ProgramChanged, ProgramDeleted, ProgramTotals, Update
from workers.agents.app import agents
from workers.agents.app import updates as changes
from workers.runtime.sink import Sink
from workers.runtime.stream import Stream
from workers.runtime.table import Table

NEVER = -1


class Spending(msgspec.Struct, frozen=True, array_like=True):
    """A program's budget as of its writer's `version`; so many valid events are stored, so many `told`."""

    version: int = NEVER
    budget: int | None = None
    counted: int = 0
    told: int = 0

    @property
    def is_to_be_told(self) -> bool:
        """Whoever was told of as much as the budget knows it is spent; a budget of 0 needs no telling."""
        return self.budget is not None and self.told < self.budget <= self.counted


@agents.agent(changes)
async def budgets(stream: Stream[Update], spendings: Table[str, Spending], updates: Sink[Update]) -> None:
    async for update in stream:
        before = spendings[update.key]
        spending = after(before, update)
        if spending.is_to_be_told:
            updates.send(BudgetReached(program_id=update.key, counted=spending.counted))
            spending = replace(spending, told=spending.counted)
        if spending != before:
            spendings[update.key] = spending


def after(spending: Spending, update: Update) -> Spending:
    """The spending once the update is known. What a program without a budget counts is not kept: of most
    programs nothing needs to be written."""
    match update:
        case ProgramChanged(program=program) if program.version > spending.version:
            return replace(spending, version=program.version, budget=program.budget)
        case ProgramDeleted(version=version) if version > spending.version:
            return replace(spending, version=version, budget=None)
        case ProgramTotals(totals=totals) if spending.budget is not None:
            return replace(spending, counted=max(spending.counted, totals.valid))
    return spending
