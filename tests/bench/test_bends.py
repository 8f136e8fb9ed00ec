import pytest

from tests.bench.bends import Points, bend, falls, rises, told


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ([10, 20, 40, 41], "rises 4.0-fold from 1 to 4 shards, and is flat to 8"),
        ([40, 20, 10, 5], "falls by 88% from 1 to 8 shards"),
        ([10, 11, 10, 11], "is flat from 1 to 8 shards"),
        ([10, 20, 21, 10], "rises 2.0-fold from 1 to 2 shards, is flat to 4, and falls by 52% to 8"),
    ],
)
def test_a_curve_is_told_by_its_points(figures: list[float], words: str) -> None:
    assert told(points(figures), "shards") == words


def test_a_curve_bends_where_its_steepest_step_begins() -> None:
    assert bend(points([10, 11, 30, 36])) == 2
    assert bend(points([10, 11, 10, 11])) is None


def test_a_curve_rises_or_falls_from_one_end_to_the_other() -> None:
    up, down = points([10, 30, 12]), points([10, 30, 8])

    assert (rises(up), falls(up)) == (True, False)
    assert (rises(down), falls(down)) == (False, True)
    assert not rises(points([10, 11])) and not falls(points([10, 9]))


def points(figures: list[float]) -> Points:
    return [(2**nth, figure) for nth, figure in enumerate(figures)]
