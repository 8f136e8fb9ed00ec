"""Places sort as events came, and go through a cursor unchanged."""

from uuid import UUID, uuid4, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import MalformedError
from schemas.places import (
    LATEST_MS,
    TOLERANCE_MS,
    Place,
    decode_cursor,
    encode_cursor,
    first_id,
    last_id,
    place_of,
    told_by_id,
)
from tests.factories import NOW_MS, id_made_at, view

places = st.builds(Place, st.integers(0, LATEST_MS), st.uuids())


@pytest.mark.parametrize("off_ms", [0, TOLERANCE_MS, -TOLERANCE_MS])
def test_an_id_that_tells_about_when_its_event_came_gives_the_place(off_ms: int) -> None:
    event = view(message_id=id_made_at(NOW_MS + off_ms), received_at_ms=NOW_MS)

    assert place_of(event) == (told_by_id(event), event.message_id) == (NOW_MS + off_ms, event.message_id)


@pytest.mark.parametrize(
    "message_id",
    [uuid4(), uuid5(UUID(int=0), "order-1"), *(id_made_at(NOW_MS + off) for off in (60_001, -60_001))],
)
def test_any_other_id_leaves_it_to_when_the_event_was_received(message_id: UUID) -> None:
    event = view(message_id=message_id, received_at_ms=NOW_MS)

    assert told_by_id(event) is None
    assert place_of(event) == (NOW_MS, message_id)


@given(places, places)
def test_places_sort_as_text_and_as_ids_where_those_tell_the_time(one: Place, other: Place) -> None:
    assert (one < other) == (str(one) < str(other))
    if one.at_ms < other.at_ms:
        assert last_id(one.at_ms) < first_id(other.at_ms)


@given(st.integers(0, LATEST_MS))
def test_every_id_of_a_millisecond_is_between_its_first_and_its_last(at_ms: int) -> None:
    assert str(first_id(at_ms)) <= str(id_made_at(at_ms)) <= str(last_id(at_ms))


@given(places)
def test_a_cursor_leads_back_to_its_place(place: Place) -> None:
    assert decode_cursor(encode_cursor(place)) == place


@pytest.mark.parametrize("text", ["", "x", "=" * 30, "A" * 29, "A" * 31, "é" * 30])
def test_what_is_no_cursor_of_ours_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        decode_cursor(text)
