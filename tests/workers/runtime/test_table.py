import operator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import TooLargeError
from schemas.programs import Totals
from workers.runtime.table import KEY_MAX_BYTES, VALUE_MAX_BYTES, Codec, Entries, Table

KEYS = st.sampled_from("abc")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, st.none() | st.binary(max_size=2)),
        st.tuples(st.sampled_from(["keep", "roll_back", "committed"])),
    )
)


def table(kind: Any = int, default: Any = int, entries: Entries | None = None) -> Table[Any, Any]:
    return Table(entries or Entries(), Codec(Any, kind), default)


@given(STEPS)
def test_entries_go_back_to_the_last_event_and_know_what_changed_since_the_commit(
    steps: list[tuple[Any, ...]],
) -> None:
    entries = Entries()
    now, kept, committed = dict[str, bytes](), dict[str, bytes](), dict[str, bytes]()

    for step in steps:
        match step:
            case ("put", key, value):
                entries.put(key, value)
                now = {**now, key: value} if value is not None else {k: v for k, v in now.items() if k != key}
            case ("keep",):
                entries.keep()
                kept = now
            case ("roll_back",):
                entries.roll_back()
                now = kept
            case _:
                entries.keep()
                entries.committed()
                kept = committed = now

        assert {key: entries.get(key) for key in entries} == now
        changed = {key for key in "abc" if now.get(key) != committed.get(key)}
        assert changed <= {change.key for change in entries.changes()}
        assert all(change.committed == committed.get(change.key) for change in entries.changes())
        assert all(change.value == now.get(change.key) for change in entries.changes())


def test_a_key_without_value_has_the_default_and_stays_out_of_the_table() -> None:
    counts = table()

    assert counts["a"] == 0
    assert "a" not in counts
    assert counts.get("a") is None
    counts["a"] += 1
    assert counts["a"] == 1
    assert list(counts.items()) == [("a", 1)]


def test_without_default_a_missing_key_is_an_error() -> None:
    with pytest.raises(KeyError):
        table(default=None)["a"]


def test_keys_and_values_come_back_as_what_they_were() -> None:
    entries = Entries()
    codec: Codec[tuple[str, int], Totals] = Codec(tuple[str, int], Totals)
    totals = Table(entries, codec, Totals)

    totals["212313", 5] = Totals(views=1)

    assert list(totals) == [("212313", 5)]
    assert totals["212313", 5] == Totals(views=1)
    del totals["212313", 5]
    assert ("212313", 5) not in totals


def test_a_value_that_is_changed_in_place_is_a_copy() -> None:
    sets = table(kind=set[str], default=set)

    sets["a"].add("lost")
    sets["a"] |= {"kept"}

    assert sets["a"] == {"kept"}


def test_what_is_set_to_what_it_was_is_no_change() -> None:
    entries = Entries()
    entries.load("k", b"v")

    entries.put("k", b"v")

    assert entries.changes() == []


def test_the_size_is_that_of_all_keys_and_values() -> None:
    entries = Entries()
    entries.load("key", b"value")
    entries.put("other", b"v")
    assert entries.size == 3 + 5 + 5 + 1

    entries.put("key", b"longer value")
    entries.put("other", None)
    assert entries.size == 3 + 12

    entries.roll_back()
    assert entries.size == 3 + 5


def test_keys_and_values_have_limits() -> None:
    texts = table(kind=str)
    texts["k" * (KEY_MAX_BYTES - 2)] = "v" * (VALUE_MAX_BYTES - 5)

    with pytest.raises(TooLargeError, match="a key of 901 bytes is over 900"):
        texts["k" * (KEY_MAX_BYTES - 1)]
    with pytest.raises(TooLargeError, match="a value of"):
        texts["k"] = "v" * VALUE_MAX_BYTES


def test_a_value_of_another_type_is_said_when_it_is_read() -> None:
    entries = Entries()
    table(kind=str, entries=entries)["k"] = "text"

    with pytest.raises(msgspec.ValidationError):
        operator.getitem(table(kind=int, entries=entries), "k")
