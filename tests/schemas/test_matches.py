from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.matches import match_from_item, match_item
from schemas.updates import ConversionMatched
from tests.factories import NOW_MS
from tests.schemas import strategies

matches = st.builds(
    ConversionMatched,
    program_id=strategies.program_ids,
    converted_at_ms=strategies.counts,
    clicked_at_ms=strategies.counts,
    expires_at_s=st.none() | strategies.counts,
)


def make_match(**fields: Any) -> ConversionMatched:
    given: dict[str, Any] = {
        "program_id": "212313",
        "conversion": UUID(int=1),
        "converted_at_ms": NOW_MS + 1,
        "click": UUID(int=2),
        "clicked_at_ms": NOW_MS,
        "by": "visitor",
    }
    return ConversionMatched(**(given | fields))


def test_the_golden_item() -> None:
    assert match_item(make_match(expires_at_s=7)) == {
        "program_id": {"S": "212313"},
        "conversion": {"S": "00000000-0000-0000-0000-000000000001"},
        "click": {"S": "00000000-0000-0000-0000-000000000002"},
        "matched_by": {"S": "visitor"},
        "converted_at_ms": {"N": "1760000000001"},
        "clicked_at_ms": {"N": "1760000000000"},
        "expires_at": {"N": "7"},
    }


@given(matches)
def test_a_match_is_read_back_as_it_was(match: ConversionMatched) -> None:
    assert match_from_item(match_item(match)) == match


def test_what_does_not_expire_says_nothing_of_it() -> None:
    assert "expires_at" not in match_item(make_match())


@pytest.mark.parametrize("changed", [{"click": {"S": "?"}}, {"matched_by": {"S": "guess"}}])
def test_another_shape_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        match_from_item(match_item(make_match()) | changed)
