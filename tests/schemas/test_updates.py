from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.errors import UpdateError
from schemas.health import Lag
from schemas.programs import MAX_SAFE_INTEGER
from schemas.updates import (
    BudgetReached,
    CachePurged,
    ConversionMatched,
    FunctionReported,
    ProgramChanged,
    ProgramDeleted,
    ProgramTotals,
    Update,
    VisitorFlagged,
    decode_update,
    encode_update,
)
from tests.factories import NOW_MS, VERSION, program, totals
from tests.schemas import strategies

GOLDEN: dict[str, tuple[Update, bytes, str]] = {
    "program_changed": (
        ProgramChanged(program=program()),
        b'{"type":"program_changed","program":{"name":"program2","customerId":9124,'
        b'"customerName":"Customer2","checksum":"124","active":true,"startsAtMs":null,"endsAtMs":null,'
        b'"budget":null,"destination":null,"privacy":"truncate",'
        b'"fallback":null,"origins":null,"ack":null,"keyVersion":0,"retentionDays":null,"ratePerS":null,'
        b'"ratePerAddressPerS":null,"programId":"212313",'
        b'"version":1760000000000000,"budgetSpent":false,'
        b'"writtenVersion":null,"floodedUntilMs":null,"flagged":null}}',
        "212313",
    ),
    "program_deleted": (
        ProgramDeleted(program_id="212313", version=VERSION),
        b'{"type":"program_deleted","programId":"212313","version":1760000000000000}',
        "212313",
    ),
    "program_totals": (
        ProgramTotals(program_id="212313", totals=totals()),
        b'{"type":"program_totals","programId":"212313",'
        b'"totals":{"views":5,"clicks":3,"conversions":2,"invalid":1}}',
        "212313",
    ),
    "budget_reached": (
        BudgetReached(program_id="212313", counted=1_000),
        b'{"type":"budget_reached","programId":"212313","counted":1000}',
        "212313",
    ),
    "visitor_flagged": (
        VisitorFlagged(program_id="212313", visitor="visitor-1", until_ms=NOW_MS, clicks=100),
        b'{"type":"visitor_flagged","programId":"212313","visitor":"visitor-1",'
        b'"untilMs":1760000000000,"clicks":100}',
        "212313",
    ),
    "cache_purged": (
        CachePurged(version=VERSION),
        b'{"type":"cache_purged","version":1760000000000000}',
        "purge",
    ),
    "conversion_matched": (
        ConversionMatched(
            program_id="212313",
            conversion=UUID(int=1),
            converted_at_ms=NOW_MS + 1,
            click=UUID(int=2),
            clicked_at_ms=NOW_MS,
            by="click_id",
        ),
        b'{"type":"conversion_matched","programId":"212313",'
        b'"conversion":"00000000-0000-0000-0000-000000000001","convertedAtMs":1760000000001,'
        b'"click":"00000000-0000-0000-0000-000000000002","clickedAtMs":1760000000000,"by":"click_id"}',
        "212313",
    ),
    "function_reported": (
        FunctionReported(
            lag=Lag(reader="persist", stream="events", shard_id="shardId-0", lag_ms=120, at_ms=NOW_MS)
        ),
        b'{"type":"function_reported","lag":{"reader":"persist","stream":"events","shardId":"shardId-0",'
        b'"lagMs":120,"atMs":1760000000000}}',
        "persist/shardId-0",
    ),
}

updates: st.SearchStrategy[Update] = (
    st.builds(ProgramChanged, program=strategies.programs)
    | st.builds(ProgramDeleted, program_id=strategies.program_ids, version=strategies.counts)
    | st.builds(ProgramTotals, program_id=strategies.program_ids, totals=strategies.totals)
    | st.builds(BudgetReached, program_id=strategies.program_ids, counted=strategies.counts)
    | st.builds(
        VisitorFlagged,
        program_id=strategies.program_ids,
        visitor=strategies.texts.filter(bool),
        until_ms=strategies.counts,
        clicks=strategies.counts,
    )
    | st.builds(CachePurged, version=strategies.counts)
    | st.builds(
        ConversionMatched,
        program_id=strategies.program_ids,
        converted_at_ms=strategies.counts,
        clicked_at_ms=strategies.counts,
        expires_at_s=st.none() | strategies.counts,
    )
    | st.builds(FunctionReported, lag=strategies.lags)
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | strategies.texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(strategies.texts, inner, max_size=3),
    max_leaves=6,
)
almost_updates = st.fixed_dictionaries(
    {"type": st.sampled_from(sorted(GOLDEN))},
    optional={
        "programId": json_values | strategies.program_ids,
        "version": json_values | strategies.counts,
        "program": json_values,
        "totals": json_values,
        "counted": json_values | strategies.counts,
        "visitor": json_values | strategies.texts,
        "untilMs": json_values | strategies.counts,
        "clicks": json_values | strategies.counts,
    },
)


@pytest.mark.parametrize("tag", GOLDEN)
def test_golden_bytes(tag: str) -> None:
    update, golden, key = GOLDEN[tag]

    assert encode_update(update) == golden
    assert decode_update(golden) == update
    assert update.key == key


@pytest.mark.parametrize("tag", GOLDEN)
def test_fields_of_a_newer_writer_are_passed_over(tag: str) -> None:
    update, golden, _ = GOLDEN[tag]

    assert decode_update(golden[:-1] + b',"new":{"a":[1,null]}}') == update


def test_a_change_of_an_older_writer_takes_the_defaults() -> None:
    older = (
        b'{"type":"program_changed","program":{"name":"program2","customerId":9124,'
        b'"customerName":"Customer2","checksum":"124","programId":"212313","version":1760000000000000}}'
    )

    assert decode_update(older) == ProgramChanged(program=program())


@given(updates)
def test_round_trip(update: Update) -> None:
    assert decode_update(encode_update(update)) == update


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"version":1}',
        b'{"type":"program_renamed","programId":"1","version":1}',
        b'{"type":"cache_purged"}',
        b'{"type":"cache_purged","version":-1}',
        b'{"type":"cache_purged","version":9007199254740992}',
        b'{"type":"cache_purged","version":1}{}',
        b'{"type":"cache_purged","version":' + b"9" * 5_000 + b"}",
        b'{"type":"program_deleted","programId":"a/b","version":1}',
        b'{"type":"program_deleted","programId":"1\\n","version":1}',
        b'{"type":"program_deleted","programId":"\xff\xfe","version":1}',
        b'{"type":"program_deleted","programId":"\\ud800","version":1}',
        b'{"type":"program_totals","programId":"1","totals":{"views":-1}}',
        b'{"type":"budget_reached","programId":"1","counted":-1}',
        b'{"type":"visitor_flagged","programId":"1","visitor":"","untilMs":1,"clicks":1}',
        b'{"type":"visitor_flagged","programId":"1","visitor":"' + b"v" * 257 + b'","untilMs":1,"clicks":1}',
        GOLDEN["program_changed"][1].replace(b'"destination":null', b'"destination":"javascript:x"'),
        GOLDEN["program_changed"][1].replace(b'"privacy":"truncate"', b'"privacy":"none"'),
        GOLDEN["cache_purged"][1][:-1],
        b'{"type":"cache_purged","version":1,"new":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_anything_else_is_an_update_error(data: bytes) -> None:
    with pytest.raises(UpdateError) as raised:
        decode_update(data)

    assert str(raised.value)


@given(st.binary() | json_values.map(msgspec.json.encode) | almost_updates.map(msgspec.json.encode))
@example(b'{"type":"cache_purged","version":0}')
def test_arbitrary_bytes_are_an_update_or_an_update_error(data: bytes) -> None:
    try:
        update = decode_update(data)
    except UpdateError:
        return

    assert isinstance(update, Update)


@given(updates, st.data())
def test_a_damaged_byte_never_raises_another_error(update: Update, data: st.DataObject) -> None:
    body = bytearray(encode_update(update))
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))

    try:
        decode_update(bytes(body))
    except UpdateError as error:
        assert str(error)


def test_versions_up_to_the_largest_safe_integer_pass() -> None:
    update = CachePurged(version=MAX_SAFE_INTEGER)

    assert decode_update(encode_update(update)) == update
