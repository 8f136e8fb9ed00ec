"""The packed store as Lambda runs it, against a stand-in for DynamoDB."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lambdas import persist
from schemas.dynamodb import Item
from schemas.events import Event
from schemas.frames import decode_frame
from schemas.packs import PACKS_LANE, pack_from_item
from schemas.updates import ProgramTotals
from tests.lambdas.cloud import Cloud
from tests.lambdas.test_persist_handler import APPLIED, BUSY_TOTALS, Handler, busy_frames


@pytest.fixture
def handler(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Handler]:
    """The handler in a new Lambda environment whose store is packed."""
    monkeypatch.setenv("EVENT_STORE", "packed")
    persist.compose.cache_clear()
    yield lambda event: persist.handler(event, None)
    persist.compose.cache_clear()


def events(items: list[Item]) -> list[Event]:
    return [event for item in items for event in decode_frame(pack_from_item(item).frame).events]


def assert_counted_once(cloud: Cloud) -> None:
    assert {program_id: cloud.totals(program_id) for program_id in BUSY_TOTALS} == BUSY_TOTALS
    assert len(events(cloud.items())) == sum(totals.stored for totals in BUSY_TOTALS.values())
    relayed = {each.program_id: each.totals for each in cloud.relayed() if isinstance(each, ProgramTotals)}
    assert relayed == BUSY_TOTALS


def test_events_are_packed_counted_and_relayed(cloud: Cloud, handler: Handler) -> None:
    cloud.put(*busy_frames())

    assert handler(cloud.batch()) == APPLIED

    assert_counted_once(cloud)
    assert len(cloud.items()) == 3


def test_a_new_environment_finds_what_the_one_before_stored(cloud: Cloud, handler: Handler) -> None:
    cloud.put(*busy_frames())
    handler(cloud.batch())
    persist.compose.cache_clear()

    assert handler(cloud.batch()) == APPLIED

    assert_counted_once(cloud)


def test_the_same_batch_many_times_at_once(cloud: Cloud, handler: Handler) -> None:
    cloud.put(*busy_frames())
    batch = cloud.batch()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(handler, [batch] * 4))

    assert answers == [APPLIED] * 4
    assert_counted_once(cloud)


def test_a_head_is_there_after_every_batch(cloud: Cloud, handler: Handler) -> None:
    cloud.put(*busy_frames())
    handler(cloud.batch())

    lanes = cloud.dynamodb.scan(TableName=cloud.persist.totals_table)["Items"]

    assert {lane["lane"]["S"] for lane in lanes} == {PACKS_LANE}
