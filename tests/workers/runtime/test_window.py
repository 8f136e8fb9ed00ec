import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.runtime.window import Window, Windowing, hopping, tumbling

CUTS = st.tuples(st.integers(1, 10_000), st.integers(1, 10_000)).map(
    lambda cut: Windowing(max(cut), min(cut))
)
MOMENTS = st.integers(0, 10**13)


@given(CUTS, MOMENTS)
def test_the_windows_of_a_moment_are_all_that_hold_it(cut: Windowing, at_ms: int) -> None:
    windows = cut.windows(at_ms)
    before = cut.starting(windows[0].start_ms - cut.step_ms)
    behind = cut.starting(windows[-1].start_ms + cut.step_ms)

    assert all(window.start_ms <= at_ms < window.end_ms for window in windows)
    assert all(window.start_ms % cut.step_ms == 0 for window in windows)
    assert before.end_ms <= at_ms < behind.start_ms


@given(st.integers(1, 10_000), MOMENTS)
def test_each_moment_is_in_one_tumbling_window(size_ms: int, at_ms: int) -> None:
    (window,) = tumbling(size_ms).windows(at_ms)

    assert tumbling(size_ms).windows(window.end_ms - 1) == [window]
    assert tumbling(size_ms).windows(window.end_ms) == [Window(window.end_ms, window.end_ms + size_ms)]


def test_hopping_windows_overlap() -> None:
    assert hopping(60, step_ms=20).windows(65) == [Window(20, 80), Window(40, 100), Window(60, 120)]


def test_a_window_closes_once_the_watermark_has_passed_its_end_by_the_lateness() -> None:
    minute = tumbling(60, lateness_ms=10)

    assert not minute.is_closed(Window(0, 60), 69)
    assert minute.is_closed(Window(0, 60), 70)


@pytest.mark.parametrize(
    ("size_ms", "step_ms", "lateness_ms"), [(0, 0, 0), (10, 0, 0), (10, 11, 0), (10, 5, -1)]
)
def test_what_cuts_no_windows_is_refused(size_ms: int, step_ms: int, lateness_ms: int) -> None:
    with pytest.raises(ValueError, match="cuts no windows"):
        Windowing(size_ms, step_ms, lateness_ms)
