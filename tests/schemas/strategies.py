"""What hypothesis draws for every format."""

from decimal import Decimal

import msgspec
from hypothesis import strategies as st

from schemas.events import KINDS, CoreData, Event
from schemas.facts import Facts
from schemas.health import Lag
from schemas.programs import MAX_SAFE_INTEGER, Program, Totals

counts = st.integers(0, MAX_SAFE_INTEGER)
program_ids = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
texts = st.text(st.characters(codec="utf-8"), max_size=20)
lags = st.builds(Lag, reader=texts, stream=texts, shard_id=texts, lag_ms=counts, at_ms=counts)
optional_texts = st.none() | texts
days = st.integers(1, 3_650)
values = st.decimals(
    min_value=Decimal(-(10**12)), max_value=Decimal(10**12), places=4, allow_nan=False, allow_infinity=False
)

core_data = st.builds(
    CoreData,
    program_id=program_ids,
    name=texts,
    customer_id=counts,
    customer_name=texts,
    checksum=texts,
    version=counts,
)
events: st.SearchStrategy[Event] = st.sampled_from([*KINDS.values()]).flatmap(
    lambda kind: st.builds(
        kind,
        message_id=st.uuids(),
        received_at_ms=counts,
        program=core_data,
        valid=st.booleans(),
        reason=optional_texts,
        user_agent=optional_texts,
        referrer=optional_texts,
        visitor=optional_texts,
        click_id=optional_texts,
        client_address=optional_texts,
        value=st.none() | values,
        currency=optional_texts,
        retention_days=st.none() | days,
        traceparent=optional_texts,
    )
)
totals = st.builds(
    Totals,
    views=st.integers(0, 10**12),
    clicks=st.integers(0, 10**12),
    conversions=st.integers(0, 10**12),
    invalid=st.integers(0, 10**12),
)
flags = st.dictionaries(texts.filter(bool), st.integers(1, MAX_SAFE_INTEGER), min_size=1, max_size=4)
programs = st.builds(
    Program,
    program_id=program_ids,
    name=texts,
    customer_id=counts,
    customer_name=texts,
    checksum=texts,
    active=st.booleans(),
    starts_at_ms=st.none() | st.integers(0, 10**12),
    ends_at_ms=st.none() | st.integers(10**12 + 1, 10**13),
    budget=st.none() | counts,
    destination=st.none() | st.just("https://shop.example/landing?from=ad"),
    privacy=st.sampled_from(["full", "truncate", "anonymous"]),
    fallback=st.none() | st.just("https://shop.example/over?click={click_id}"),
    origins=st.none() | st.just(()) | st.just(("https://shop.example", "http://localhost:8000")),
    ack=st.sampled_from([None, "durable", "buffered"]),
    key_version=counts,
    retention_days=st.none() | days,
    rate_per_s=st.none() | st.integers(1, MAX_SAFE_INTEGER),
    rate_per_address_per_s=st.none() | st.integers(1, MAX_SAFE_INTEGER),
    version=counts,
    budget_spent=st.booleans(),
    written_version=st.none() | counts,
    flooded_until_ms=st.none() | st.integers(1, MAX_SAFE_INTEGER),
    flagged=st.none() | flags,
)
facts = st.builds(
    Facts, counted=counts, flagged=st.just({}) | flags, flooded_until_ms=st.integers(0, MAX_SAFE_INTEGER)
)

_plain_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | texts
    | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
_unknown_tags = st.builds(
    lambda tag, rest: [tag, *rest],
    texts.filter(lambda tag: tag not in ("view", "click", "conversion")),
    st.lists(_plain_values, max_size=6),
)
_wrong_types = st.builds(
    lambda tag, wrong: [tag, wrong, wrong, wrong, wrong],
    st.sampled_from(["view", "click", "conversion"]),
    st.booleans() | texts,
)
_not_utf8 = st.just(b"\x91\xa4vi\xff\xfe")
not_events = (_plain_values | _unknown_tags | _wrong_types).map(msgspec.msgpack.encode) | _not_utf8
"""Encoded values that are valid msgpack and no event: other types, unknown tags, wrong fields."""
