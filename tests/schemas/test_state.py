import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import PoisonError
from schemas.leases import Row
from schemas.state import (
    COMPRESSED,
    DELTA_MIN_BYTES,
    VERSION,
    Entry,
    Piece,
    commit_id,
    epoch_of,
    pack,
    piece_from_row,
    piece_row,
    piece_row_key,
    unpack,
)

KEY = "tally/tracker-events/shardId-000000000006"
ENTRIES = [Entry("totals", '["212313/x",5]', b"\x01"), Entry("totals", '"gone"', None)]
GOLDEN = b'\x01\x92\x94\xa6totals\xae["212313/x",5]\xc4\x01\x01\xc2\x94\xa6totals\xa6"gone"\xc0\xc2'

values = st.binary(max_size=3 * DELTA_MIN_BYTES) | st.integers(0, 255).map(lambda each: bytes([each]) * 1_000)


def test_the_golden_item_of_a_commit() -> None:
    piece = Piece(slot=7, commit_id="5/run-1", pieces=2, previous="4/run-1", data=GOLDEN)
    row: Row = {
        "lease_key": {"S": KEY},
        "entry": {"S": "7"},
        "commit_id": {"S": "5/run-1"},
        "pieces": {"N": "2"},
        "previous": {"S": "4/run-1"},
        "data": {"B": GOLDEN},
    }

    assert piece_row(KEY, piece) == row
    assert piece_from_row(row) == piece
    assert piece_row_key(KEY, 7).items() <= row.items()


def test_the_first_commit_has_none_before_it() -> None:
    piece = Piece(slot=1, commit_id="1/run-1", pieces=1, previous=None, data=GOLDEN)

    assert "previous" not in piece_row(KEY, piece)
    assert piece_from_row(piece_row(KEY, piece)) == piece


def test_an_item_of_earlier_versions_is_refused() -> None:
    with pytest.raises(PoisonError, match="empty tables"):
        piece_from_row({"lease_key": {"S": KEY}, "entry": {"S": 'totals/"key"'}, "value": {"B": b"\x01"}})


def test_a_commit_is_named_by_its_epoch_and_its_writer() -> None:
    assert commit_id(12, "run-1") == "12/run-1"
    assert epoch_of("12/run-1") == 12


def test_the_golden_bytes_of_entries() -> None:
    assert pack(ENTRIES) == GOLDEN
    assert unpack(GOLDEN) == ENTRIES


def test_entries_are_compressed_where_that_is_smaller() -> None:
    many = [Entry("totals", f"{number}", b"value") for number in range(100)]

    assert pack(many)[0] == VERSION | COMPRESSED
    assert unpack(pack(many)) == many


@pytest.mark.parametrize("data", [b"", b"\x02\x90", b"\x01\x93", b"\x81no zlib", b"\x01\x91\x92\x01\x02"])
def test_data_of_a_newer_version_or_damaged_is_refused(data: bytes) -> None:
    with pytest.raises(PoisonError):
        unpack(data)


@given(value=values | st.none(), before=values | st.none())
def test_a_value_comes_back_from_what_is_said_of_it(value: bytes | None, before: bytes | None) -> None:
    entry = Entry.of("totals", "key", value, before)

    assert entry.value_after(before) == value
    assert entry.size <= len("key") + len(value or b"")


def test_a_large_value_that_changed_little_is_told_as_a_delta() -> None:
    before = bytes(range(256)) * 4
    value = before[:500] + b"new" + before[500:]
    entry = Entry.of("totals", "key", value, before)

    assert entry.is_delta and entry.size < 60
    with pytest.raises(PoisonError):
        entry.value_after(before[1:])
    assert entry.value_after(None) is None
