from itertools import islice

import pytest

from workers.runtime.backoff import backoff_s


def test_the_ceiling_doubles_up_to_the_most() -> None:
    waits = list(islice(backoff_s(first_s=1.0, most_s=5.0), 6))

    for wait, ceiling in zip(waits, [1.0, 2.0, 4.0, 5.0, 5.0, 5.0], strict=True):
        assert ceiling / 10 <= wait <= ceiling


def test_the_first_wait_keeps_under_a_lower_most() -> None:
    assert next(backoff_s(first_s=1.0, most_s=0.01)) <= 0.01


def test_waits_are_jittered() -> None:
    firsts = {next(backoff_s(first_s=1.0, most_s=1.0)) for _ in range(20)}

    assert len(firsts) > 1
    assert max(firsts) == pytest.approx(0.55, abs=0.45)
