"""What hypothesis draws to break decoders: valid messages, damaged as networks and attackers do it."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st

from tracker.requests import EventRequest

Value = TypeVar("Value")
Damage = Callable[[bytes], bytes]

FIELDS = [spec.encode_name for spec in msgspec.structs.fields(EventRequest)]

_flips = st.builds(
    lambda at, mask: lambda data: _flipped(data, at, mask), st.integers(0), st.integers(1, 255)
)
_cuts = st.builds(
    lambda at, length: lambda data: _without(data, at, length), st.integers(0), st.integers(1, 9)
)
_inserts = st.builds(
    lambda at, more: lambda data: _with(data, at, more), st.integers(0), st.binary(min_size=1, max_size=9)
)
_repeats = st.builds(lambda times: lambda data: data * times, st.integers(2, 3))
damages: st.SearchStrategy[list[Damage]] = st.lists(_flips | _cuts | _inserts | _repeats, max_size=4)

hostile_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=300)
    | st.sampled_from(["view", "click", "conversion", "EUR", "eur", "1e400", "-0", "0.000000001", "NaN"])
    | st.decimals(allow_nan=False).map(str)
    | st.uuids().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=5,
)
hostile_requests: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(FIELDS) | st.text(max_size=9), hostile_values, max_size=6
)


def mangled(messages: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """The bytes of valid messages, damaged or not; and bytes that never were any."""
    return st.builds(_damaged, messages, damages) | st.binary(max_size=200)


def _damaged(data: bytes, damages: list[Damage]) -> bytes:
    for damage in damages:
        data = damage(data)
    return data


def _flipped(data: bytes, at: int, mask: int) -> bytes:
    if not data:
        return data
    at %= len(data)
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


def _without(data: bytes, at: int, length: int) -> bytes:
    at %= len(data) + 1
    return data[:at] + data[at + length :]


def _with(data: bytes, at: int, more: bytes) -> bytes:
    at %= len(data) + 1
    return data[:at] + more + data[at:]
