from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.programs import (
    MAX_SAFE_INTEGER,
    InvalidReason,
    Program,
    ProgramFields,
    Totals,
    Versions,
    invalid_reason,
)
from tests.factories import NOW_MS, VERSION, program, totals
from tests.schemas import strategies

STARTS_AT_MS = 1_700_000_000_000
ENDS_AT_MS = 1_800_000_000_000

GOLDEN = (
    b'{"name":"program2","customerId":9124,"customerName":"Customer2","checksum":"124","active":true,'
    b'"startsAtMs":null,"endsAtMs":null,"budget":null,"destination":null,"privacy":"truncate",'
    b'"fallback":null,"origins":null,"ack":null,"keyVersion":0,"retentionDays":null,'
    b'"ratePerS":null,"ratePerAddressPerS":null,'
    b'"programId":"212313","version":1760000000000000,"budgetSpent":false,'
    b'"writtenVersion":null,"floodedUntilMs":null,"flagged":null}'
)
GOLDEN_FULL = (
    b'{"name":"program2","customerId":9124,"customerName":"Customer2","checksum":"124","active":false,'
    b'"startsAtMs":1700000000000,"endsAtMs":1800000000000,"budget":1000,'
    b'"destination":"https://shop.example/{program_id}?click={click_id}#{visitor}","privacy":"full",'
    b'"fallback":"https://shop.example/","origins":["https://shop.example","http://localhost:8000"],'
    b'"ack":"buffered","keyVersion":2,"retentionDays":30,"ratePerS":1000,"ratePerAddressPerS":5,'
    b'"programId":"212313","version":1760000000000000,"budgetSpent":true,'
    b'"writtenVersion":1759999999999999,"floodedUntilMs":1760000060000,"flagged":{"visitor-1":1760000030000}}'
)
FULL = program(
    active=False,
    starts_at_ms=STARTS_AT_MS,
    ends_at_ms=ENDS_AT_MS,
    budget=1_000,
    destination="https://shop.example/{program_id}?click={click_id}#{visitor}",
    privacy="full",
    fallback="https://shop.example/",
    origins=("https://shop.example", "http://localhost:8000"),
    ack="buffered",
    key_version=2,
    retention_days=30,
    rate_per_s=1_000,
    rate_per_address_per_s=5,
    budget_spent=True,
    written_version=VERSION - 1,
    flooded_until_ms=NOW_MS + 60_000,
    flagged={"visitor-1": NOW_MS + 30_000},
)


def decode(**changes: Any) -> Program:
    return msgspec.json.decode(msgspec.json.encode(msgspec.json.decode(GOLDEN) | changes), type=Program)


@pytest.mark.parametrize(("value", "golden"), [(program(), GOLDEN), (FULL, GOLDEN_FULL)])
def test_golden_bytes_of_a_program(value: Program, golden: bytes) -> None:
    assert msgspec.json.encode(value) == golden
    assert msgspec.json.decode(golden, type=Program) == value


def test_golden_bytes_of_totals() -> None:
    golden = b'{"views":5,"clicks":3,"conversions":2,"invalid":1}'

    assert msgspec.json.encode(totals()) == golden
    assert msgspec.json.decode(golden, type=Totals) == totals()


def test_a_program_of_an_older_writer_takes_the_defaults() -> None:
    older = (
        b'{"name":"program2","customerId":9124,"customerName":"Customer2","checksum":"124",'
        b'"programId":"212313","version":1760000000000000}'
    )

    assert msgspec.json.decode(older, type=Program) == program()
    assert msgspec.json.decode(b"{}", type=Totals) == Totals()


def test_fields_of_a_newer_writer_are_passed_over() -> None:
    newer_program = b'{"new":{"a":[1,2]},' + GOLDEN[1:-1] + b',"newer":null}'
    newer_totals = b'{"views":5,"clicks":3,"bots":7,"conversions":2,"invalid":1}'

    assert msgspec.json.decode(newer_program, type=Program) == program()
    assert msgspec.json.decode(newer_totals, type=Totals) == totals()


@given(strategies.programs)
def test_round_trip(value: Program) -> None:
    assert msgspec.json.decode(msgspec.json.encode(value), type=Program) == value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "ü" * 256),
        ("customerId", 0),
        ("customerId", MAX_SAFE_INTEGER),
        ("customerName", "c" * 256),
        ("checksum", ""),
        ("checksum", "k" * 128),
        ("startsAtMs", 0),
        ("startsAtMs", MAX_SAFE_INTEGER),
        ("endsAtMs", MAX_SAFE_INTEGER),
        ("budget", 0),
        ("budget", MAX_SAFE_INTEGER),
        ("destination", "https://shop.example/".ljust(2_048, "x")),
        ("privacy", "full"),
        ("privacy", "truncate"),
        ("privacy", "anonymous"),
        ("fallback", "https://shop.example/".ljust(2_048, "x")),
        ("origins", ()),
        ("origins", tuple(f"https://shop{number}.example" for number in range(32))),
        ("origins", (f"https://{'a' * 245}.example:65535",)),
        ("ack", "durable"),
        ("ack", "buffered"),
        ("keyVersion", MAX_SAFE_INTEGER),
        ("retentionDays", 1),
        ("retentionDays", 3_650),
        ("ratePerS", 1),
        ("ratePerS", MAX_SAFE_INTEGER),
        ("ratePerAddressPerS", 1),
        ("ratePerAddressPerS", MAX_SAFE_INTEGER),
        ("programId", "a"),
        ("programId", "AZaz09_-"),
        ("programId", "p" * 64),
        ("version", 0),
        ("version", MAX_SAFE_INTEGER),
    ],
)
def test_a_value_at_its_limit_is_accepted(field: str, value: object) -> None:
    accepted = msgspec.to_builtins(decode(**{field: value}))

    assert accepted[field] == value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "ü" * 257),
        ("name", None),
        ("customerId", -1),
        ("customerId", MAX_SAFE_INTEGER + 1),
        ("customerId", "9124"),
        ("customerId", 1.5),
        ("customerName", "c" * 257),
        ("checksum", "k" * 129),
        ("active", 1),
        ("startsAtMs", -1),
        ("startsAtMs", MAX_SAFE_INTEGER + 1),
        ("endsAtMs", -1),
        ("endsAtMs", MAX_SAFE_INTEGER + 1),
        ("budget", -1),
        ("budget", MAX_SAFE_INTEGER + 1),
        ("destination", "https://shop.example/".ljust(2_049, "x")),
        ("privacy", "none"),
        ("fallback", "https://shop.example/".ljust(2_049, "x")),
        ("origins", ["https://shop.example"] * 33),
        ("origins", ["https://shop.example/".ljust(268, "x")]),
        ("ack", "never"),
        ("keyVersion", -1),
        ("retentionDays", 0),
        ("retentionDays", 3_651),
        ("ratePerS", 0),
        ("ratePerAddressPerS", 0),
        ("programId", ""),
        ("programId", "p" * 65),
        ("programId", "212313\n"),
        ("programId", "\n212313"),
        ("programId", "212 313"),
        ("programId", "212313#1"),
        ("programId", "a/b"),
        ("programId", "a:b"),
        ("programId", "ü"),
        ("programId", "\u0663"),
        ("programId", "a\x00"),
        ("version", -1),
        ("version", MAX_SAFE_INTEGER + 1),
        ("budgetSpent", "yes"),
    ],
)
def test_a_value_past_its_limit_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(msgspec.ValidationError, match=rf"\$\.{field}(\[0\])?`"):
        decode(**{field: value})


@pytest.mark.parametrize("field", ["destination", "fallback"])
def test_what_is_no_destination_is_refused_by_name(field: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=f"{field} must be an absolute http or https URL"):
        decode(**{field: "/landing"})


def test_what_is_no_origin_is_refused_by_name() -> None:
    with pytest.raises(
        msgspec.ValidationError, match=r"origins has 'https://shop\.example/', which is no origin"
    ):
        decode(origins=["https://news.example", "https://shop.example/"])


@pytest.mark.parametrize(("starts", "ends"), [(2, 1), (1, 1)])
def test_a_program_starts_before_it_ends(starts: int, ends: int) -> None:
    with pytest.raises(msgspec.ValidationError, match="startsAtMs must be before endsAtMs"):
        decode(startsAtMs=starts, endsAtMs=ends)


def test_a_writer_chooses_all_but_what_the_system_sets() -> None:
    assert set(Program.__struct_fields__) - set(ProgramFields.__struct_fields__) == {
        "program_id",
        "version",
        "budget_spent",
        "written_version",
        "flooded_until_ms",
        "flagged",
    }


def test_what_anyone_may_read_of_a_program_is_all_but_its_visitors() -> None:
    shown = msgspec.to_builtins(FULL.public)

    assert shown == {name: value for name, value in msgspec.to_builtins(FULL).items() if name != "flagged"}


@pytest.mark.parametrize(
    ("fields", "checksum", "now_ms", "reason"),
    [
        ({}, None, 0, None),
        ({}, "124", 0, None),
        ({}, "125", 0, "bad_checksum"),
        ({}, "", 0, "bad_checksum"),
        ({"active": False}, None, 0, "program_inactive"),
        ({"starts_at_ms": STARTS_AT_MS}, None, STARTS_AT_MS - 1, "program_not_started"),
        ({"starts_at_ms": STARTS_AT_MS}, None, STARTS_AT_MS, None),
        ({"starts_at_ms": 0}, None, 0, None),
        ({"ends_at_ms": ENDS_AT_MS}, None, ENDS_AT_MS - 1, None),
        ({"ends_at_ms": ENDS_AT_MS}, None, ENDS_AT_MS, "program_expired"),
        ({"ends_at_ms": 0}, None, 0, "program_expired"),
        ({"starts_at_ms": 1, "ends_at_ms": 2}, None, 0, "program_not_started"),
        ({"starts_at_ms": 1, "ends_at_ms": 2}, None, 1, None),
        ({"starts_at_ms": 1, "ends_at_ms": 2}, None, 2, "program_expired"),
        ({"budget_spent": True}, None, 0, "budget_spent"),
        ({"budget": 0}, None, 0, None),
        ({"active": False, "budget_spent": True, "ends_at_ms": 0}, "125", 0, "bad_checksum"),
        ({"active": False, "budget_spent": True, "ends_at_ms": 0}, "124", 0, "program_inactive"),
        ({"budget_spent": True, "ends_at_ms": 0}, "124", 0, "program_expired"),
    ],
)
def test_invalid_reason(
    fields: dict[str, Any], checksum: str | None, now_ms: int, reason: str | None
) -> None:
    assert invalid_reason(program(**fields), checksum=checksum, now_ms=now_ms) == reason


def test_the_published_reasons_are_a_closed_set() -> None:
    assert {str(reason) for reason in InvalidReason} == {
        "bad_checksum",
        "program_inactive",
        "program_not_started",
        "program_expired",
        "budget_spent",
        "bot",
        "prefetch",
        "flood",
    }


@given(st.lists(st.tuples(st.integers(0, 10**15), st.integers(0, 10**15)), min_size=2))
def test_versions_grow_whatever_the_clock_does(steps: list[tuple[int, int]]) -> None:
    clock: Iterator[int] = iter([now_us for now_us, _ in steps])
    versions = Versions(lambda: next(clock))

    issued = [versions.next(after=seen) for _, seen in steps]

    assert all(earlier < later for earlier, later in pairwise(issued))
    assert all(version > seen for version, (_, seen) in zip(issued, steps, strict=True))
    assert all(version >= now_us for version, (now_us, _) in zip(issued, steps, strict=True))


def test_a_clock_that_goes_back_an_hour_changes_nothing_but_the_distance() -> None:
    hour_us = 3_600_000_000
    clock = iter([2 * hour_us, hour_us, hour_us, 3 * hour_us])
    versions = Versions(lambda: next(clock))

    issued = [versions.next() for _ in range(4)]

    assert issued == [2 * hour_us, 2 * hour_us + 1, 2 * hour_us + 2, 3 * hour_us]


def test_versions_are_microseconds_of_the_wall_clock() -> None:
    assert 1_700_000_000_000_000 < Versions().next() < MAX_SAFE_INTEGER


@given(strategies.totals, strategies.totals, strategies.totals)
def test_totals_add_in_any_order_and_grouping(a: Totals, b: Totals, c: Totals) -> None:
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a + Totals() == a == Totals() + a


@given(strategies.totals, strategies.totals)
def test_the_larger_of_two_totals_is_the_least_that_is_at_least_both(a: Totals, b: Totals) -> None:
    larger = a.at_least(b)

    for name in Totals.__struct_fields__:
        assert getattr(larger, name) == max(getattr(a, name), getattr(b, name))


@given(strategies.totals, strategies.totals)
def test_stored_and_valid_are_sums(a: Totals, b: Totals) -> None:
    assert a.valid == a.views + a.clicks + a.conversions
    assert a.stored == a.valid + a.invalid
    assert (a + b).valid == a.valid + b.valid
    assert (a + b).stored == a.stored + b.stored


@pytest.mark.parametrize("field", Totals.__struct_fields__)
@pytest.mark.parametrize("value", [-1, MAX_SAFE_INTEGER + 1])
def test_totals_past_their_limits_are_refused(field: str, value: int) -> None:
    with pytest.raises(msgspec.ValidationError, match=rf"\$\.{field}`"):
        msgspec.json.decode(msgspec.json.encode({field: value}), type=Totals)
