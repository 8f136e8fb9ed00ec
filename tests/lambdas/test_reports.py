"""What a batch came to, as CloudWatch reads it out of a function's log."""

from typing import Any

import msgspec
from msgspec.structs import replace

from lambdas.persist import Persist
from lambdas.reports import Reports
from tests.factories import NOW_MS, view
from tests.lambdas.world import SETTINGS, Shard, World

TOLD = replace(SETTINGS, metrics_namespace="Ads")


def told(written: list[str]) -> dict[tuple[str, str], float]:
    """By metric and outcome."""
    documents: list[dict[str, Any]] = [msgspec.json.decode(line) for line in written]
    return {
        (name, each.get("outcome", "")): value
        for each in documents
        for name, value in each.items()
        if name.startswith("function_")
    }


def persist(world: World, written: list[str]) -> Persist:
    made = world.persist()
    made.reports = Reports(TOLD, "persist", clock_ms=lambda: NOW_MS + 1_500, write=written.append)
    return made


def test_a_batch_tells_what_became_of_its_records_and_events(world: World, shard: Shard) -> None:
    written = list[str]()
    function = persist(world, written)
    records = [shard.frame(view(), view()), shard.record(b"\x7fpoison"), shard.frame(view())]

    assert function.reports.batch(records, function.apply(records)) is None

    assert told(written) == {
        ("function_events_total", "stored"): 3,
        ("function_events_total", "set_aside"): 1,
        ("function_records_total", "applied"): 3,
        ("function_lag_seconds", ""): 1.5,
    }


def test_what_is_left_is_told_apart_from_what_is_applied(shard: Shard) -> None:
    written = list[str]()
    records = [shard.frame(view()) for _ in range(3)]

    assert Reports(TOLD, "persist", write=written.append).batch(records, records[1]) is records[1]

    outcomes = told(written)
    assert outcomes["function_records_total", "applied"] == 1
    assert outcomes["function_records_total", "left"] == 2


def test_nothing_is_told_where_no_namespace_is_given(shard: Shard) -> None:
    written = list[str]()

    Reports(SETTINGS, "persist", write=written.append).batch([shard.frame(view())], None)

    assert written == []
