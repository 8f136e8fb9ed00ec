import logging
from types import SimpleNamespace

import msgspec
import pytest

from schemas.errors import SettingsError
from tests.lambdas.recorded import RECORDED
from tests.workers.ports import RecordingHandler, failing_from, record
from workers.hosting.invocation import (
    Context,
    Function,
    import_handler,
    kinesis_event,
    payload_bytes,
    succeeded,
)

ARN = "arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream"
BATCH = [record(99), record(100), record(101)]


def failures(*identifiers: object) -> object:
    return {"batchItemFailures": [{"itemIdentifier": each} for each in identifiers]}


def test_the_event_is_the_one_of_the_developer_guide() -> None:
    read = record(
        49_590_338_271_490_256_608_559_692_538_361_571_095_921_575_989_136_588_898,
        b"Hello, this is a test.",
        shard_id="shardId-000000000006",
        partition_key="1",
    )

    event = kinesis_event([read], ARN, role="lambda-role")

    assert event == RECORDED


def test_a_record_without_partition_key_has_none_in_the_event() -> None:
    (sent,) = kinesis_event([record(1, partition_key=None)], ARN, role="persist")["Records"]

    assert "partitionKey" not in sent["kinesis"]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 24_576])
def test_payload_bytes_are_never_too_few(size: int) -> None:
    read = record(10**56, b"x" * size, partition_key="k" * 256)

    event = kinesis_event([read], ARN, role="persist")

    assert len(msgspec.json.encode(event)) <= payload_bytes(read)


@pytest.mark.parametrize(
    "answer",
    [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}, {"statusCode": 200}],
    ids=str,
)
def test_an_answer_without_failures_is_success(answer: object) -> None:
    assert succeeded(BATCH, answer) == 3


@pytest.mark.parametrize(
    ("answer", "count"),
    [
        (failures("99"), 0),
        (failures("100"), 1),
        (failures("101"), 2),
        (failures("101", "100"), 1),
        (failures("100", "100"), 1),
    ],
    ids=str,
)
def test_what_is_before_the_lowest_failed_sequence_number_succeeded(answer: object, count: int) -> None:
    assert succeeded(BATCH, answer) == count


@pytest.mark.parametrize(
    "answer",
    [
        failures(""),
        failures(None),
        failures(100),
        failures("102"),
        failures("101", ""),
        {"batchItemFailures": [{"identifier": "101"}]},
        {"batchItemFailures": ["101"]},
        {"batchItemFailures": "101"},
        ["101"],
        "stored",
        SimpleNamespace(batchItemFailures=[]),
    ],
    ids=str,
)
def test_an_answer_that_names_no_record_of_the_batch_fails_it(
    answer: object, caplog: pytest.LogCaptureFixture
) -> None:
    assert succeeded(BATCH, answer) is None
    assert "3 records of shardId-000000000000, 99 to 101" in caplog.text


def test_a_function_answers_how_many_records_succeeded() -> None:
    function = Function("persist", RecordingHandler(None, failing_from(1)))

    outcomes = [function.invoke(BATCH, ARN), function.invoke(BATCH, ARN)]

    assert [(outcome.succeeded, outcome.is_error) for outcome in outcomes] == [(3, False), (1, False)]


def test_a_handler_is_told_its_name_and_a_request_id_of_its_own() -> None:
    handler = RecordingHandler()
    function = Function("persist", handler)

    function.invoke(BATCH, ARN)
    function.invoke(BATCH, ARN)

    first, second = handler.contexts
    assert first.function_name == "persist"
    assert first.aws_request_id != second.aws_request_id


@pytest.mark.parametrize(
    "error", [ValueError("broken"), StopIteration(), SystemExit(1), KeyboardInterrupt()], ids=repr
)
def test_whatever_a_handler_raises_fails_the_batch_and_is_logged(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    function = Function("persist", RecordingHandler(error))

    _, count, is_error = function.invoke(BATCH, ARN)

    assert (count, is_error) == (0, True)
    (entry,) = caplog.records
    assert entry.getMessage() == "persist raised on 3 records of shardId-000000000000, 99 to 101"
    assert entry.exc_info


def handler(event: dict[str, object], context: Context) -> None:
    """Found by its dotted name."""


def test_a_handler_is_found_by_its_dotted_name() -> None:
    assert import_handler(f"{__name__}.handler") is handler


@pytest.mark.parametrize(
    "dotted", ["nowhere.handler", "handler", "", f"{__name__}.nothing", f"{__name__}.ARN"]
)
def test_a_handler_that_is_not_there_is_a_setting_that_does_not_do(dotted: str) -> None:
    with pytest.raises(SettingsError, match=f"no handler {dotted}"):
        import_handler(dotted)
