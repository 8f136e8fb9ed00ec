"""The programs table: core data as its writers want it, with what the system found out about it."""

from collections.abc import Callable
from typing import Literal, NotRequired, Protocol, TypedDict, assert_never

from botocore.exceptions import ClientError
from msgspec.structs import replace

from schemas.dynamodb import (
    NEVER,
    Item,
    StoredProgram,
    program_from_item,
    program_item,
    program_key,
    tombstone_item,
)
from schemas.errors import UnavailableError
from schemas.facts import Facts, is_spent, joined
from schemas.programs import MAX_SAFE_INTEGER, Program
from schemas.updates import BudgetReached, CoreDataUpdate, ProgramChanged, ProgramDeleted, VisitorFlagged

MOST_ATTEMPTS = 8
"""Each failed attempt means that another delivery replaced the item."""

NOTHING = StoredProgram(NEVER, None, NEVER)
"""What is held of a program that nothing was heard of."""


class ItemAnswer(TypedDict):
    Item: NotRequired[Item]


class HeldCondition(TypedDict):
    """What a put of a program is asked to hold to, as options of PutItem."""

    ConditionExpression: str
    ExpressionAttributeValues: NotRequired[Item]


class ProgramsTable(Protocol):
    """The part of a DynamoDB client that core data takes."""

    def get_item(self, *, TableName: str, Key: Item, ConsistentRead: bool) -> ItemAnswer: ...

    def put_item(
        self,
        *,
        TableName: str,
        Item: Item,
        ConditionExpression: str,
        ExpressionAttributeValues: Item = ...,
        ReturnValuesOnConditionCheckFailure: Literal["ALL_OLD"],
    ) -> object: ...


class Programs:
    """Applies changes and facts to the items of programs. Any order and repetition ends the same."""

    def __init__(self, dynamodb: ProgramsTable, table: str, clock_ms: Callable[[], int]) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._clock_ms = clock_ms

    def apply(self, update: CoreDataUpdate) -> StoredProgram:
        """What the table holds once the update is in it, be that newer. Raises UnavailableError when the
        item keeps changing."""
        held = self._read(update.key)
        for _ in range(MOST_ATTEMPTS):
            merged = merge(held, update, now_ms=self._clock_ms())
            if merged is held:
                return held
            try:
                self._replace(update.key, held, merged)
                return merged
            except ClientError as error:
                held = _held_instead(error)
        raise UnavailableError(f"program {update.key} is contended")

    def _read(self, program_id: str) -> StoredProgram:
        key = program_key(program_id)
        answer = self._dynamodb.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        return program_from_item(answer["Item"]) if "Item" in answer else NOTHING

    def _replace(self, program_id: str, held: StoredProgram, merged: StoredProgram) -> None:
        self._dynamodb.put_item(
            TableName=self._table,
            Item=_item(program_id, merged),
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
            **_while_held(held),
        )


def merge(held: StoredProgram, update: CoreDataUpdate, *, now_ms: int) -> StoredProgram:
    """`held` with the update; `held` itself where it says nothing new.

    Among writers the newest version wins. A fact counts as far as it says more than is known. Either makes
    the version grow, so that whoever holds a copy takes the new one. A fact's version is the microsecond of
    the change, as a writer's is, as long as clocks agree.
    """
    match update:
        case ProgramChanged(program=program):
            return _written(held, program, program.version, now_ms)
        case ProgramDeleted(version=version):
            return _written(held, None, version, now_ms)
        case BudgetReached(counted=counted):
            return _found(held, Facts(counted=counted), now_ms)
        case VisitorFlagged(visitor=visitor, until_ms=until_ms):
            return _found(held, Facts(flagged={visitor: until_ms}), now_ms)
        case _:
            assert_never(update)


def _written(held: StoredProgram, program: Program | None, version: int, now_ms: int) -> StoredProgram:
    if version <= held.written_version:
        return held
    facts = joined(held.facts, Facts(), now_ms=now_ms)
    return _stored(program, max(held.version + 1, version), version, facts)


def _found(held: StoredProgram, found: Facts, now_ms: int) -> StoredProgram:
    known = joined(held.facts, Facts(), now_ms=now_ms)
    facts = joined(known, found, now_ms=now_ms)
    if facts == known:
        return held
    version = max(held.version + 1, now_ms * 1000)
    return _stored(held.program, version, held.written_version, facts)


def _stored(program: Program | None, version: int, written_version: int, facts: Facts) -> StoredProgram:
    version = min(version, MAX_SAFE_INTEGER)
    if program is not None:
        program = replace(
            program,
            version=version,
            written_version=written_version,
            budget_spent=is_spent(program.budget, facts),
            flooded_until_ms=facts.flooded_until_ms or None,
            flagged=facts.flagged or None,
        )
    return StoredProgram(version, program, written_version, facts)


def _item(program_id: str, stored: StoredProgram) -> Item:
    if stored.program is not None:
        return program_item(stored.program, counted=stored.facts.counted)
    return tombstone_item(
        program_id, stored.version, written_version=stored.written_version, facts=stored.facts
    )


def _while_held(held: StoredProgram) -> HeldCondition:
    if held == NOTHING:
        return HeldCondition(ConditionExpression="attribute_not_exists(program_id)")
    return HeldCondition(
        ConditionExpression="version = :held",
        ExpressionAttributeValues={":held": {"N": str(held.version)}},
    )


def _held_instead(error: ClientError) -> StoredProgram:
    if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
        raise error
    item = error.response.get("Item")
    return program_from_item(item) if item else NOTHING
