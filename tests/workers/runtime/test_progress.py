"""How far readers are, for as long as they read."""

from schemas.metrics import WORKER_LAG, WORKER_RECORDS
from workers.runtime.progress import Place, Progress

FIRST = Place("tally", "events", "shardId-000000000000")
OTHER = Place("tally", "events", "shardId-000000000001")


def told(progress: Progress) -> dict[tuple[str, tuple[str, ...]], object]:
    return {(metric.name, labels): value for metric, value, labels in progress.readings()}


def test_records_add_up_and_the_last_read_says_how_far_behind_it_was() -> None:
    progress = Progress()

    with progress.following(FIRST) as first, progress.following(OTHER) as other:
        first(10, 5_000)
        other(1, 0)
        first(5, 250)

        assert told(progress) == {
            (WORKER_RECORDS.name, ("tally", "events")): 16,
            (WORKER_LAG.name, FIRST): 0.25,
            (WORKER_LAG.name, OTHER): 0,
        }


def test_a_shard_that_is_let_go_is_nobodys_lag() -> None:
    progress = Progress()

    with progress.following(FIRST) as first:
        first(10, 5_000)

    assert told(progress) == {(WORKER_RECORDS.name, ("tally", "events")): 10}
