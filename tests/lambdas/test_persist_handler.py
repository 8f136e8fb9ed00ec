"""`persist` as Lambda runs it, against a stand-in for Kinesis, DynamoDB and S3."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from lambdas import persist
from lambdas.batch import decode_batch
from schemas.dynamodb import event_from_item
from schemas.events import Event, View, encode_event
from schemas.frames import encode_frame
from schemas.programs import Totals
from schemas.updates import ProgramTotals
from tests.factories import click, conversion, core_data, view
from tests.lambdas.cloud import SHARD_ID, Cloud
from tests.lambdas.memory import Killed, Steps

APPLIED: dict[str, Any] = {"batchItemFailures": []}
ITEM_LIMIT_BYTES = 400 * 1024
MOST_STEPS = 40


Handler = Callable[[dict[str, Any]], Any]


@pytest.fixture
def handler(cloud: Cloud) -> Iterator[Handler]:
    """The handler in a new Lambda environment."""
    persist.compose.cache_clear()
    yield lambda event: persist.handler(event, None)
    persist.compose.cache_clear()


def busy_frames() -> list[tuple[str, list[Event]]]:
    """Two programs, two lanes, every kind, resends within a frame and across, more than one call."""
    views: list[Event] = [view(user_agent="curl/7.54.0") for _ in range(30)]
    other = view(program=core_data(program_id="212312"))
    return [
        ("key-0", [*views, click(), view(valid=False, reason="bad_checksum")]),
        ("key-1", [other, other, *views[:5]]),
        ("key-0", [conversion(value=Decimal("12.50"), currency="EUR"), *views]),
    ]


BUSY_TOTALS = {
    "212312": Totals(views=1),
    "212313": Totals(views=30, clicks=1, conversions=1, invalid=1),
}


def assert_counted_once(cloud: Cloud) -> None:
    assert {program_id: cloud.totals(program_id) for program_id in BUSY_TOTALS} == BUSY_TOTALS
    assert len(cloud.items()) == sum(totals.stored for totals in BUSY_TOTALS.values())
    relayed = {each.program_id: each.totals for each in cloud.relayed() if isinstance(each, ProgramTotals)}
    assert relayed == BUSY_TOTALS


def test_events_are_stored_counted_and_relayed(cloud: Cloud, handler: Handler) -> None:
    cloud.put(*busy_frames())

    assert handler(cloud.batch()) == APPLIED

    assert_counted_once(cloud)


def test_a_stored_event_reads_back_as_it_was_sent(cloud: Cloud, handler: Handler) -> None:
    event = conversion(visitor="v", referrer="https://example.com/", client_address="192.0.2.0")
    cloud.put(("key-0", [event]))

    handler(cloud.batch())

    assert [event_from_item(item) for item in cloud.items()] == [event]


def test_a_whole_batch_again_changes_nothing(cloud: Cloud, handler: Handler) -> None:
    cloud.put(*busy_frames())
    batch = cloud.batch()
    handler(batch)

    assert handler(batch) == APPLIED

    assert_counted_once(cloud)


@pytest.mark.parametrize("step", range(0, MOST_STEPS, 3))
def test_killed_at_a_step_then_bisected(cloud: Cloud, handler: Handler, step: int) -> None:
    cloud.put(*busy_frames())
    batch = cloud.batch()
    steps = Steps()
    steps.kill_at(step)
    with suppress(Killed):
        cloud.killable(steps).apply(decode_batch(batch))

    assert handler({"Records": batch["Records"][:1]}) == APPLIED
    assert handler({"Records": batch["Records"][1:]}) == APPLIED

    assert_counted_once(cloud)


def test_a_busy_batch_is_killed_at_every_third_of_its_steps(cloud: Cloud) -> None:
    cloud.put(*busy_frames())
    steps = Steps()

    cloud.killable(steps).apply(decode_batch(cloud.batch()))

    assert 10 < len(steps.seen) <= MOST_STEPS


def test_the_same_batch_many_times_at_once(cloud: Cloud, handler: Handler) -> None:
    cloud.put(*busy_frames())
    batch = cloud.batch()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(handler, [batch] * 4))

    assert answers == [APPLIED] * 4
    assert_counted_once(cloud)


def test_poison_is_set_aside_and_its_neighbours_pass(cloud: Cloud, handler: Handler) -> None:
    too_large = View(
        message_id=uuid4(), received_at_ms=0, program=core_data(), valid=True, referrer="x" * ITEM_LIMIT_BYTES
    )
    cloud.put_data(b"not a frame")
    cloud.put_data(encode_frame([encode_event(view()), b"\xc0", encode_event(too_large)]))
    cloud.put_data(encode_frame([encode_event(view())]))
    batch = cloud.batch()
    frame, events = (each["kinesis"]["sequenceNumber"] for each in batch["Records"][:2])

    assert handler(batch) == APPLIED

    prefix = f"{cloud.event_stream}/{SHARD_ID}"
    assert {key: (failed.reason, failed.payload) for key, failed in cloud.failed().items()} == {
        f"{prefix}/{frame}.json": ("bad_frame", b"not a frame"),
        f"{prefix}/{events}-1.json": ("bad_event", b"\xc0"),
        f"{prefix}/{events}-2.json": ("bad_event", encode_event(too_large)),
    }
    assert cloud.totals() == Totals(views=2)


def test_an_outage_is_answered_with_the_first_record(
    cloud: Cloud, handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.put(*busy_frames())
    batch = cloud.batch()
    first = batch["Records"][0]["kinesis"]["sequenceNumber"]

    with monkeypatch.context() as outage:
        outage.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")
        assert handler(batch) == {"batchItemFailures": [{"itemIdentifier": first}]}

    persist.compose.cache_clear()
    assert handler(batch) == APPLIED
    assert_counted_once(cloud)


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [("lambdas.persist", {"redis", "aiobotocore", "sanic"}), ("lambdas.refresh", {"aiobotocore", "sanic"})],
)
def test_a_cold_start_imports_only_what_it_needs(module: str, unwanted: set[str]) -> None:
    script = f"import sys, {module}; print(*sys.modules)"

    imported = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert unwanted.isdisjoint(imported.stdout.split())


def test_the_first_invocations_arrive_together_and_share_one_set_of_clients(handler: Handler) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(handler, [{"Records": []}] * 8))

    assert answers == [APPLIED] * 8
    assert persist.compose.cache_info().misses == 1
