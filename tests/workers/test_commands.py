"""`replay` and `recount` as they are run, against a stand-in for Kinesis, DynamoDB and S3."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from lambdas.batch import Record, decode_batch
from schemas.dynamodb import program_item
from schemas.events import encode_event
from schemas.failures import FailedRecord, discarded_key, encode_discarded, encode_failed
from schemas.frames import encode_frame
from schemas.programs import Totals
from schemas.updates import ProgramTotals
from tests.factories import NOW_MS, click, program, view
from tests.lambdas.cloud import ACCOUNT, REGION, SHARD_ID, Cloud
from tests.lambdas.memory import Killed, Steps
from workers.__main__ import main
from workers.hosting.destination import Discarded, discarded_batch
from workers.runtime import source

PROGRAM = "212313"
DOWN = "http://127.0.0.1:1"


@pytest.fixture
def environment(cloud: Cloud) -> dict[str, str]:
    return cloud.environment | {"EVENT_STREAM": cloud.event_stream}


def keep(cloud: Cloud, key: str, body: bytes) -> None:
    cloud.s3.put_object(Bucket=cloud.persist.failed_events_bucket, Key=key, Body=body)


def kept(cloud: Cloud) -> list[str]:
    listed = cloud.s3.list_objects_v2(Bucket=cloud.persist.failed_events_bucket)
    return [each["Key"] for each in listed.get("Contents", [])]


def set_aside(cloud: Cloud, payload: bytes, sequence_number: str = "7") -> FailedRecord:
    failed = FailedRecord(
        stream=cloud.event_stream,
        shard_id=SHARD_ID,
        sequence_number=sequence_number,
        payload=payload,
        reason="bad_frame",
        detail="too new",
        failed_at_ms=NOW_MS,
        partition_key="key-0",
    )
    keep(cloud, failed.key, encode_failed(failed))
    return failed


def give_up(cloud: Cloud, batch: list[Record]) -> None:
    records = [
        source.Record(each.shard_id, each.sequence_number, each.partition_key, each.data, NOW_MS)
        for each in batch
    ]
    arn = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{cloud.event_stream}"
    discarded = Discarded("persist", arn, records, "RetryAttemptsExhausted", 1, None, NOW_MS)
    key = discarded_key(uuid4(), SHARD_ID, datetime.fromtimestamp(NOW_MS / 1000, UTC), uuid4())
    keep(cloud, key, encode_discarded(discarded_batch(discarded)))


def records(cloud: Cloud) -> list[Record]:
    return decode_batch(cloud.batch())


def deliver(cloud: Cloud, batch: list[Record]) -> None:
    assert cloud.killable(Steps()).apply(batch) is None


def store_only(cloud: Cloud, batch: list[Record]) -> None:
    steps = Steps()

    def kill(step: str) -> None:
        if step == "before get_item":
            raise Killed(step)

    steps.hook = kill
    with suppress(Killed):
        cloud.killable(steps).apply(batch)


def last_relayed(cloud: Cloud) -> Totals:
    return [each.totals for each in cloud.relayed() if isinstance(each, ProgramTotals)][-1]


def test_a_poison_frame_is_replayed_after_the_fix_and_stored_and_counted_once(
    cloud: Cloud, environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    readable = encode_frame([encode_event(view()), encode_event(click())])
    set_aside(cloud, readable)
    still_poison = set_aside(cloud, b"\x7fpoison", "8")

    assert main(["replay"], environment) == 1
    assert kept(cloud) == [still_poison.key]
    assert main(["replay"], environment) == 1
    set_aside(cloud, readable)
    assert main(["replay"], environment) == 1

    deliver(cloud, records(cloud))
    assert len(records(cloud)) == 2
    assert cloud.totals() == Totals(views=1, clicks=1)
    assert len(cloud.items()) == 2
    assert "0 objects replayed, 1 kept" in capsys.readouterr().out


def test_a_dry_run_changes_nothing(
    cloud: Cloud, environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    failed = set_aside(cloud, encode_frame([encode_event(view())]))

    assert main(["replay", "--dry-run", "--prefix", cloud.event_stream], environment) == 0

    assert (kept(cloud), records(cloud)) == ([failed.key], [])
    assert "1 objects to replay, 0 kept" in capsys.readouterr().out


def test_a_batch_given_up_between_store_and_count_is_right_after_a_replay_while_traffic_goes_on(
    cloud: Cloud, environment: dict[str, str]
) -> None:
    cloud.put(("key-0", [view(), view()]), ("key-1", [click()]))
    batch = records(cloud)
    store_only(cloud, batch)
    give_up(cloud, batch)
    cloud.put(("key-0", [view()]))
    deliver(cloud, records(cloud)[2:])
    assert cloud.totals() == Totals(views=1)

    assert main(["replay"], environment) == 0
    cloud.put(("key-0", [view()]), ("key-1", [click()]))
    deliver(cloud, records(cloud)[3:])

    assert cloud.totals() == last_relayed(cloud) == Totals(views=4, clicks=2)
    assert kept(cloud) == []


def test_what_failed_is_listed_with_when_why_and_where(
    cloud: Cloud, environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    failed = set_aside(cloud, b"\x7fpoison")
    cloud.put(("key-0", [view(), click()]))
    give_up(cloud, records(cloud))
    keep(cloud, "zzz", b"no failure")

    assert main(["failed", "list"], environment) == 0
    assert main(["failed", "list", "--limit", "1"], environment) == 0
    assert main(["failed", "list", "--prefix", "nothing"], environment) == 0

    batch, poison, unreadable, first, more = capsys.readouterr().out.splitlines()
    assert (batch, more) == (first, "there are more: --limit 1")
    assert "RetryAttemptsExhausted  batch of 1 from" in batch
    bucket = cloud.persist.failed_events_bucket
    assert poison == f"2025-10-09T08:53:20Z  bad_frame  record  s3://{bucket}/{failed.key}  too new"
    assert unreadable.startswith(f"unreadable  s3://{bucket}/zzz")


def test_a_failure_is_shown_with_what_it_holds(
    cloud: Cloud, environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    seen = view(visitor="v1")
    failed = set_aside(cloud, encode_frame([encode_event(seen), b"\xc0"]))

    assert main(["failed", "show", failed.key], environment) == 0
    assert main(["failed", "show", "nothing"], environment) == 1

    place, _, text = capsys.readouterr().out.partition("\n")
    assert place.endswith(failed.key)
    told = msgspec.json.decode(text)
    assert (told["reason"], told["detail"], told["shardId"]) == ("bad_frame", "too new", SHARD_ID)
    ((holds,),) = [told["holds"]]
    assert holds["events"][0]["message_id"] == str(seen.message_id)
    assert (holds["events"][0]["kind"], holds["events"][0]["visitor"]) == ("view", "v1")
    assert holds["failed"][0]["data"] == "wA=="


def test_failures_are_replayed_from_here_too(cloud: Cloud, environment: dict[str, str]) -> None:
    set_aside(cloud, encode_frame([encode_event(view())]))

    assert main(["failed", "replay", "--dry-run"], environment) == 0
    assert main(["failed", "replay"], environment) == 0

    assert (kept(cloud), len(records(cloud))) == ([], 1)


@pytest.fixture
def short(cloud: Cloud) -> Iterator[Cloud]:
    """A lane whose first record was stored and never counted."""
    cloud.put(("key-0", [view(), click()]), ("key-0", [view()]))
    first, second = records(cloud)
    store_only(cloud, [first])
    deliver(cloud, [second])
    item: Any = program_item(program(program_id=PROGRAM))
    cloud.dynamodb.put_item(TableName=cloud.refresh.programs_table, Item=item)
    yield cloud


@pytest.mark.parametrize("arguments", [[], ["--program", PROGRAM]], ids=["all", "one"])
def test_recount_puts_a_program_right(
    short: Cloud, environment: dict[str, str], arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recount", *arguments], environment) == 0
    assert main(["recount", *arguments], environment) == 0

    assert short.totals() == last_relayed(short) == Totals(views=2, clicks=1)
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"program {PROGRAM}: 3 counted, 0 not yet; corrected {SHARD_ID}/key-0"
    assert second == f"program {PROGRAM}: 3 counted, 0 not yet; nothing to correct"


def test_a_program_that_was_not_named_is_left_alone(short: Cloud, environment: dict[str, str]) -> None:
    assert main(["recount", "--program", "212312"], environment) == 0

    assert short.totals() == Totals(views=1)


@pytest.mark.parametrize("command", ["recount", "replay", "failed list", "failed show key"])
def test_a_dependency_that_is_down_is_said_and_exits_1(
    cloud: Cloud,
    environment: dict[str, str],
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", DOWN)

    assert main(command.split(), environment) == 1

    assert "Could not connect" in capsys.readouterr().err
