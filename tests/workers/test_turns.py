import pytest

from tests.workers.turns import Commit, intruded

FAIR = [(1, "a"), (2, "a"), (4, "b"), (5, "c"), (6, "c")]


def test_owners_that_take_turns_are_no_intruders() -> None:
    assert intruded({"shard-1": FAIR, "shard-2": FAIR[::-1], "shard-3": []}) == []


@pytest.mark.parametrize(
    "commits",
    [
        pytest.param([(1, "a"), (2, "b"), (3, "a")], id="an owner commits after another has"),
        pytest.param([(1, "a"), (2, "b"), (2, "a")], id="two owners commit the same epoch"),
        pytest.param([(1, "a"), (1, "a")], id="an owner commits an epoch twice"),
        pytest.param([*FAIR, (7, "b")], id="a lease that was lost and had again commits under the old token"),
    ],
)
def test_a_commit_in_between_is_found(commits: list[Commit]) -> None:
    assert intruded({"shard-1": FAIR, "shard-2": commits}) == ["shard-2"]
