"""The totals table: what each lane has counted of a program, behind a fence."""

from collections.abc import Iterator, Mapping
from typing import Literal, NotRequired, Protocol, TypedDict

from botocore.exceptions import ClientError

from schemas.dynamodb import (
    Item,
    LaneTotals,
    lane_from_item,
    lane_item,
    lane_key,
    sum_of_lanes,
    while_held,
)
from schemas.errors import UnavailableError
from schemas.programs import Totals

MOST_ATTEMPTS = 8
"""Each failed attempt means that another delivery, or a recount, replaced the lane."""


class ItemAnswer(TypedDict):
    Item: NotRequired[Item]


class QueryAnswer(TypedDict):
    Items: list[Item]
    LastEvaluatedKey: NotRequired[Item]


class QueryOptions(TypedDict, total=False):
    ExclusiveStartKey: Item


class TotalsTable(Protocol):
    """The part of a DynamoDB client that counting takes."""

    def get_item(self, *, TableName: str, Key: Item, ConsistentRead: bool) -> ItemAnswer: ...

    def put_item(
        self,
        *,
        TableName: str,
        Item: Item,
        ConditionExpression: str,
        ExpressionAttributeValues: Item = ...,
        ReturnValuesOnConditionCheckFailure: Literal["ALL_OLD", "NONE"] = ...,
    ) -> object: ...

    def query(
        self,
        *,
        TableName: str,
        KeyConditionExpression: str,
        ExpressionAttributeValues: Item,
        ConsistentRead: bool,
        ExpressionAttributeNames: Mapping[str, str] = ...,
        ScanIndexForward: bool = ...,
        ExclusiveStartKey: Item = ...,
    ) -> QueryAnswer: ...


class Lanes:
    """Adds what records count to their lanes, each record once however often it is delivered."""

    def __init__(self, dynamodb: TotalsTable, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def add(self, program_id: str, lane: str, counts: Mapping[str, Totals]) -> None:
        """Adds the counts of the records (by sequence number) that the lane has not counted yet.

        The caller hands over every counting record of the lane up to the last one given, so that
        nothing below the new fence is missing. Raises UnavailableError when the fence keeps moving.
        """
        held = self._read(program_id, lane)
        for _ in range(MOST_ATTEMPTS):
            grown = advanced(held, counts)
            if grown is None:
                return
            try:
                return self._replace(program_id, lane, held, grown)
            except ClientError as error:
                held = _held_instead(error)
        raise UnavailableError(f"lane {lane} of program {program_id} is contended")

    def totals(self, program_id: str) -> Totals:
        """The sum over every lane of the program as of now."""
        return sum_of_lanes(lane_items(self._dynamodb, self._table, program_id))

    def _read(self, program_id: str, lane: str) -> LaneTotals | None:
        key = lane_key(program_id, lane)
        answer = self._dynamodb.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        return lane_from_item(answer["Item"]) if "Item" in answer else None

    def _replace(self, program_id: str, lane: str, held: LaneTotals | None, grown: LaneTotals) -> None:
        self._dynamodb.put_item(
            TableName=self._table,
            Item=lane_item(program_id, lane, grown),
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
            **while_held(held),
        )


def lane_items(dynamodb: TotalsTable, table: str, program_id: str) -> Iterator[Item]:
    """Every lane of a program as of now."""
    page = QueryOptions()
    while True:
        answer = dynamodb.query(
            TableName=table,
            KeyConditionExpression="program_id = :program_id",
            ExpressionAttributeValues={":program_id": {"S": program_id}},
            ConsistentRead=True,
            **page,
        )
        yield from answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return
        page = QueryOptions(ExclusiveStartKey=answer["LastEvaluatedKey"])


def advanced(held: LaneTotals | None, counts: Mapping[str, Totals]) -> LaneTotals | None:
    """The lane once it holds the counts of all records past its fence; None when it holds them all."""
    fence = -1 if held is None else int(held.sequence_number)
    newer = {sequence: totals for sequence, totals in counts.items() if int(sequence) > fence}
    if not newer:
        return None
    totals = sum(newer.values(), held.totals if held else Totals())
    return LaneTotals(max(newer, key=int), totals, held.corrections if held else 0)


def _held_instead(error: ClientError) -> LaneTotals | None:
    if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
        raise error
    item = error.response.get("Item")
    return lane_from_item(item) if item else None
