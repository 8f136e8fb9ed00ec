from pathlib import Path

from msgspec.structs import replace

from schemas.leases import SHARD_END, Lease
from tests.workers.fleet import Fleet
from tests.workers.gaps import Watchman, told

KEY = "counter/events/shardId-000000000003"
OWNED = Lease(key=KEY, counter=1, owner="first", token="token-1")
LOGS = {
    1: [(10.0, "first works on counter"), (11.0, f"{KEY}: commit 1 under token-1")],
    2: [
        (10.5, "second works on counter"),
        (14.25, f"{KEY} stands still"),
        (14.5, f"{KEY} is taken, at 7"),
        (15.0, f"{KEY}: commit 2 under token-2"),
    ],
}


def watchman(*looks: tuple[float, Lease]) -> Watchman:
    watchman = Watchman(None, "leases")
    for now_s, lease in looks:
        watchman.note(lease, now_s)
    return watchman


def lengths(*looks: tuple[float, Lease]) -> list[float]:
    return [gap.length_s for gap in watchman(*looks).gaps()]


def test_a_gap_is_from_one_sign_of_life_to_the_next_of_whatever_owner() -> None:
    renewed, taken = replace(OWNED, counter=2), replace(OWNED, counter=3, owner="second", token="token-2")

    assert lengths((10, OWNED), (11, renewed), (12, renewed), (15, taken), (15, taken)) == [4, 1, 0]


def test_that_somebody_asks_is_no_sign() -> None:
    assert lengths((10, OWNED), (13, replace(OWNED, wanted_by="other")), (16, OWNED)) == [6]


def test_a_lease_that_nobody_takes_any_more_is_a_gap_to_the_end() -> None:
    assert lengths((10, OWNED), (20, OWNED)) == [10]


def test_a_shard_at_its_end_needs_no_owner() -> None:
    ended = replace(OWNED, checkpoint=SHARD_END)

    assert lengths((10, OWNED), (11, ended), (60, ended)) == [1]


def test_where_the_time_went_is_told_with_what_was_said(tmp_path: Path) -> None:
    for worker, lines in LOGS.items():
        (tmp_path / f"{worker}.log").write_text("".join(f"{at_s:.3f} {text}\n" for at_s, text in lines))
    fleet = Fleet({}, tmp_path)
    fleet.killed_s[1] = 12.5
    taken = replace(OWNED, counter=2, owner="second", token="token-2")

    head, row, _, *context = told(watchman((12, OWNED), (15, taken)).gaps(), fleet, over_s=2).splitlines()

    assert head.split() == ["lease", "gap", "killed", "still", "taken", "commit", "at", "work"]
    assert row.split() == ["03", "3.00", "0.50", "2.25", "2.50", "3.00", "1"]
    assert [line.split("] ")[1] for line in context] == [text for _, text in (LOGS[1][1], *LOGS[2][1:])]
