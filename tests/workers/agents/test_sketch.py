from hypothesis import given
from hypothesis import strategies as st

from workers.agents.sketch import EXACT, HASH_BYTES, distinct, merged, with_visitor

VISITORS = st.lists(st.text(min_size=1, max_size=8), max_size=60)
TOLERANCE = 0.12
"""Four times the error that the number has on average."""


def sketch_of(*visitors: str) -> bytes:
    sketch = b""
    for visitor in visitors:
        sketch = with_visitor(sketch, visitor)
    return sketch


@given(VISITORS)
def test_few_visitors_are_counted_exactly_however_often_they_come(visitors: list[str]) -> None:
    assert distinct(sketch_of(*visitors, *visitors)) == len(set(visitors))


@given(VISITORS, VISITORS)
def test_two_sketches_make_that_of_all_visitors(first: list[str], second: list[str]) -> None:
    assert merged(sketch_of(*first), sketch_of(*second)) == sketch_of(*second, *first)


def test_many_visitors_take_no_more_space_and_are_told_about_right() -> None:
    many = 20 * EXACT
    sketch = sketch_of(*map(str, range(many)))

    assert len(sketch) == EXACT * HASH_BYTES
    assert abs(distinct(sketch) - many) < many * TOLERANCE


def test_the_number_never_falls() -> None:
    sketch, told = b"", 0
    for number in range(3 * EXACT):
        sketch = with_visitor(sketch, str(number))
        assert distinct(sketch) >= told
        told = distinct(sketch)


def test_large_sketches_merge_to_that_of_both_visitors() -> None:
    first, second = range(2 * EXACT), range(EXACT, 4 * EXACT)

    both = merged(sketch_of(*map(str, first)), sketch_of(*map(str, second)))

    assert both == sketch_of(*map(str, range(4 * EXACT)))
