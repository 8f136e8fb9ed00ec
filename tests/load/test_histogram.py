import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdk.local.report import percentile
from tests.load.factories import histogram
from tests.load.histogram import GROWTH, Histogram

VALUES = st.lists(st.floats(0.01, 60_000), min_size=1, max_size=50)


@given(VALUES, st.floats(0.01, 1))
def test_a_percentile_is_at_most_a_hundredth_above_the_true_one(values: list[float], share: float) -> None:
    found, true = histogram(*values).percentile(share), percentile(values, share)

    assert true <= found * 1.000001
    assert found <= true * GROWTH * 1.000001


@given(VALUES, VALUES)
def test_merged_is_as_if_counted_together_and_can_be_told_apart(one: list[float], two: list[float]) -> None:
    merged = histogram(*one)
    merged.merge(histogram(*two))

    assert merged == histogram(*one, *two)
    assert merged.since(histogram(*one)) == histogram(*two)


@given(VALUES, st.integers(1, 40))
def test_bars_hold_every_value_and_lie_side_by_side(values: list[float], most: int) -> None:
    bars = histogram(*values).bars(most)

    assert sum(bar.count for bar in bars) == len(values)
    assert len(bars) <= most
    assert [bar.from_ms for bar in bars[1:]] == pytest.approx([bar.to_ms for bar in bars[:-1]])


def test_of_nothing_there_is_nothing_to_tell() -> None:
    assert Histogram().percentile(0.99) == 0.0
    assert Histogram().bars(10) == []
