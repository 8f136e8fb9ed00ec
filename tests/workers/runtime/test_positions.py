from typing import Any

import pytest

from schemas.errors import UnavailableError
from schemas.leases import SHARD_END
from tests.workers.ports import OTHER_SHARD, SHARD
from workers.runtime.positions import DynamoDBPositions, readable
from workers.runtime.source import Shard

GRANDPARENT, PARENT, SIBLING, CHILD = (
    Shard("0"),
    Shard("1", ("0",)),
    Shard("2", ("0",)),
    Shard("3", ("1", "2")),
)
FAMILY = [GRANDPARENT, PARENT, SIBLING, CHILD]


def positions_of(dynamodb: Any, table: str, application: str = "persist") -> DynamoDBPositions:
    return DynamoDBPositions(dynamodb, table=table, application=application, stream="events")


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        (set(), ["0"]),
        ({"0"}, ["1", "2"]),
        ({"0", "1"}, ["2"]),
        ({"0", "1", "2"}, ["3"]),
        ({"0", "1", "2", "3"}, []),
    ],
    ids=str,
)
def test_a_shard_is_readable_once_each_parent_is_at_its_end(ended: set[str], expected: list[str]) -> None:
    assert readable(FAMILY, ended) == expected


def test_a_parent_that_is_not_listed_holds_nobody_up() -> None:
    assert readable([SIBLING, CHILD], set()) == ["2"]
    assert readable([CHILD], set()) == ["3"]


async def test_a_shard_without_a_row_has_no_position(dynamodb: Any, leases_table: str) -> None:
    assert await positions_of(dynamodb, leases_table).load(SHARD) is None


async def test_a_saved_position_is_found_again(dynamodb: Any, leases_table: str) -> None:
    positions = positions_of(dynamodb, leases_table)

    await positions.save(SHARD, "41")
    await positions.save(SHARD, "42")
    await positions.save(OTHER_SHARD, SHARD_END)

    assert await positions.load(SHARD) == "42"
    assert await positions.load(OTHER_SHARD) == SHARD_END


async def test_applications_keep_apart_in_rows_named_after_them(dynamodb: Any, leases_table: str) -> None:
    await positions_of(dynamodb, leases_table, "persist").save(SHARD, "42")

    rows = (await dynamodb.scan(TableName=leases_table))["Items"]

    assert rows == [{"lease_key": {"S": f"persist/events/{SHARD}"}, "checkpoint": {"S": "42"}}]
    assert await positions_of(dynamodb, leases_table, "tally").load(SHARD) is None


async def test_a_save_leaves_what_else_is_in_the_row(dynamodb: Any, leases_table: str) -> None:
    row = {"lease_key": {"S": f"persist/events/{SHARD}"}, "owner": {"S": "worker-1"}}
    await dynamodb.put_item(TableName=leases_table, Item=row)
    positions = positions_of(dynamodb, leases_table)

    assert await positions.load(SHARD) is None
    await positions.save(SHARD, "42")

    rows = (await dynamodb.scan(TableName=leases_table))["Items"]
    assert rows == [row | {"checkpoint": {"S": "42"}}]


async def test_a_table_that_does_not_answer_is_unavailable(dynamodb: Any) -> None:
    positions = positions_of(dynamodb, "nowhere")

    with pytest.raises(UnavailableError, match="table nowhere: "):
        await positions.load(SHARD)
    with pytest.raises(UnavailableError, match="table nowhere: "):
        await positions.save(SHARD, "42")
