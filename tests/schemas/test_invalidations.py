import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.health import Failures, Lag
from schemas.invalidations import (
    CacheInvalidated,
    FailuresCounted,
    Invalidation,
    MinutePublished,
    ProgramInvalidated,
    ReaderReported,
    TaskReported,
    TotalsPublished,
    decode_invalidation,
    encode_invalidation,
)
from schemas.minutes import Minute
from schemas.programs import Totals
from tests.factories import NOW_MS, VERSION, program, totals
from tests.schemas import strategies

GOLDEN: dict[str, tuple[Invalidation, bytes]] = {
    "program": (
        ProgramInvalidated(program_id="212313", version=VERSION, program=program()),
        b'{"type":"program","programId":"212313","version":1760000000000000,"program":{"name":"program2",'
        b'"customerId":9124,"customerName":"Customer2","checksum":"124","active":true,"startsAtMs":null,'
        b'"endsAtMs":null,"budget":null,"destination":null,"privacy":"truncate",'
        b'"fallback":null,"origins":null,"ack":null,"keyVersion":0,"retentionDays":null,"ratePerS":null,'
        b'"ratePerAddressPerS":null,"programId":"212313",'
        b'"version":1760000000000000,"budgetSpent":false,'
        b'"writtenVersion":null,"floodedUntilMs":null,"flagged":null}}',
    ),
    "deleted program": (
        ProgramInvalidated(program_id="212313", version=VERSION, program=None),
        b'{"type":"program","programId":"212313","version":1760000000000000,"program":null}',
    ),
    "purge": (
        CacheInvalidated(version=VERSION),
        b'{"type":"purge","version":1760000000000000}',
    ),
    "totals": (
        TotalsPublished(program_id="212313", totals=totals()),
        b'{"type":"totals","programId":"212313","totals":{"views":5,"clicks":3,"conversions":2,"invalid":1}}',
    ),
    "minute": (
        MinutePublished(
            program_id="212313", start_ms=1_760_000_040_000, part="a", minute=Minute(views=5, visitors=2)
        ),
        b'{"type":"minute","programId":"212313","startMs":1760000040000,"part":"a","minute":{"views":5,'
        b'"clicks":0,"conversions":0,"invalid":0,"visitors":2}}',
    ),
    "task": (
        TaskReported(task="3f2a91c0", applied=7, staleness_ms=12, buffered_bytes=4_096),
        b'{"type":"task","task":"3f2a91c0","applied":7,"stalenessMs":12,"bufferedBytes":4096}',
    ),
    "reader": (
        ReaderReported(
            lag=Lag(reader="tally", stream="events", shard_id="shardId-0", lag_ms=120, at_ms=NOW_MS)
        ),
        b'{"type":"reader","lag":{"reader":"tally","stream":"events","shardId":"shardId-0","lagMs":120,'
        b'"atMs":1760000000000}}',
    ),
    "failures": (
        FailuresCounted(failures=Failures(count=3, at_ms=NOW_MS)),
        b'{"type":"failures","failures":{"count":3,"atMs":1760000000000}}',
    ),
    "more failures": (
        FailuresCounted(failures=Failures(count=10_000, at_ms=NOW_MS, more=True)),
        b'{"type":"failures","failures":{"count":10000,"atMs":1760000000000,"more":true}}',
    ),
    "no totals yet": (
        TotalsPublished(program_id="212313", totals=Totals()),
        b'{"type":"totals","programId":"212313","totals":{"views":0,"clicks":0,"conversions":0,"invalid":0}}',
    ),
}

invalidations: st.SearchStrategy[Invalidation] = (
    st.builds(
        ProgramInvalidated,
        program_id=strategies.program_ids,
        version=strategies.counts,
        program=st.none() | strategies.programs,
        sequence=strategies.counts,
    )
    | st.builds(CacheInvalidated, version=strategies.counts, sequence=strategies.counts)
    | st.builds(
        TotalsPublished,
        program_id=strategies.program_ids,
        totals=strategies.totals,
        sequence=strategies.counts,
    )
    | st.builds(ReaderReported, lag=strategies.lags, sequence=strategies.counts)
)


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_bytes(name: str) -> None:
    invalidation, golden = GOLDEN[name]

    assert encode_invalidation(invalidation) == golden
    assert decode_invalidation(golden) == invalidation
    assert decode_invalidation(golden.decode()) == invalidation


@pytest.mark.parametrize("name", GOLDEN)
def test_the_sequence_in_front_is_read(name: str) -> None:
    invalidation, golden = GOLDEN[name]

    received = decode_invalidation(b'{"sequence":7,' + golden[1:])

    assert received == msgspec.structs.replace(invalidation, sequence=7)


@pytest.mark.parametrize("name", GOLDEN)
def test_fields_of_a_newer_writer_are_passed_over(name: str) -> None:
    invalidation, golden = GOLDEN[name]

    assert decode_invalidation(golden[:-1] + b',"new":{"a":[1,null]}}') == invalidation


@given(invalidations)
def test_round_trip(invalidation: Invalidation) -> None:
    assert decode_invalidation(encode_invalidation(invalidation)) == invalidation


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"{}",
        b"[]",
        b'{"type":"program","programId":"212313","version":1}',
        b'{"type":"program","programId":"a:b","version":1,"program":null}',
        b'{"type":"program","programId":"\xff\xfe","version":1,"program":null}',
        b'{"type":"flush","version":1}',
        b'{"type":"purge","version":1,"sequence":"7"}',
        b'{"type":"purge","version":1,"new":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        '{"type":"purge","version":1,"new":"\ud800"}',
    ],
)
def test_anything_else_on_the_channel_is_refused(data: bytes | str) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_invalidation(data)


@given(st.binary() | st.text())
def test_arbitrary_input_raises_no_other_error(data: bytes | str) -> None:
    try:
        received = decode_invalidation(data)
    except msgspec.MsgspecError:
        return

    assert isinstance(received, Invalidation)
