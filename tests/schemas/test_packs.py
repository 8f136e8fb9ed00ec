import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.dynamodb import EVENTS_KEY, Item, bucket_names, lane_from_item, sum_of_lanes
from schemas.packs import (
    EVENT_MAX_BYTES,
    ITEM_MAX_BYTES,
    Fence,
    Head,
    Pack,
    Place,
    head_from_item,
    head_item,
    pack_from_item,
    pack_item,
    pack_key,
    packs_bucket,
)
from schemas.programs import Totals

LANE = "shardId-000000000000/0"
PACK = Pack(
    number=7, at_ms=1_760_000_000_000, lane=LANE, place=Place.of("4959", 3), frame=b"\x01\x90", expires_at_s=9
)
PACK_ITEM: Item = {
    "bucket": {"S": "212313#packs"},
    "message_id": {"S": "000000000007"},
    "at_ms": {"N": "1760000000000"},
    "lane": {"S": LANE},
    "sequence_number": {"S": "4959"},
    "nth": {"N": "3"},
    "frame": {"B": b"\x01\x90"},
    "expires_at": {"N": "9"},
}
HEAD = Head(number=7, totals=Totals(views=2, invalid=1), fences={LANE: Fence(Place.of("4959", 3), 5)})


def test_a_pack_is_the_golden_item() -> None:
    assert pack_item("212313", PACK) == PACK_ITEM
    assert pack_from_item(PACK_ITEM | {"newer": {"S": "attribute"}}) == PACK


def test_a_pack_that_never_expires_says_nothing_of_it() -> None:
    item = pack_item("212313", msgspec.structs.replace(PACK, expires_at_s=None))

    assert "expires_at" not in item
    assert pack_from_item(item).expires_at_s is None


def test_the_key_is_the_tables_and_no_event_items_bucket() -> None:
    assert tuple(pack_key("212313", 7)) == EVENTS_KEY
    assert packs_bucket("212313") not in bucket_names("212313")


def test_keys_sort_as_numbers() -> None:
    keys = [str(pack_key("212313", number)["message_id"]["S"]) for number in (1, 9, 10, 10**11)]

    assert keys == sorted(keys)


def test_a_head_reads_back_and_is_a_lane_to_whoever_sums_lanes() -> None:
    item = head_item("212313", HEAD)

    assert head_from_item(item) == HEAD
    assert item["packs"] == {"N": "7"}
    assert msgspec.msgpack.decode(zlib.decompress(item["fences"]["B"])) == {LANE: ["4959", 3, 5]}  # type: ignore[arg-type]
    assert lane_from_item(item).totals == sum_of_lanes([item]) == HEAD.totals


@pytest.mark.parametrize(
    "damage", [{"frame": {"S": "text"}}, {"message_id": {"S": "x"}}, {"at_ms": {"S": "1"}}]
)
def test_another_shape_is_no_pack(damage: Item) -> None:
    with pytest.raises((KeyError, ValueError)):
        pack_from_item(PACK_ITEM | damage)


@given(
    st.tuples(st.integers(0, 10**60), st.integers(0, 9)), st.tuples(st.integers(0, 10**60), st.integers(0, 9))
)
def test_places_are_ordered_as_the_numbers_they_are_of(one: tuple[int, int], other: tuple[int, int]) -> None:
    places = [Place.of(str(number), nth) for number, nth in (one, other)]

    assert (places[0] < places[1]) == (one < other)


def test_the_largest_event_leaves_room_for_what_a_pack_says_of_it() -> None:
    largest = msgspec.structs.replace(PACK, frame=bytes(EVENT_MAX_BYTES + 10), lane="x" * 300)

    size = sum(
        len(name) + len(str(*value.values()))
        for name, value in pack_item("212313", largest).items()
        if name != "frame"
    )
    assert size + EVENT_MAX_BYTES + 10 < ITEM_MAX_BYTES
