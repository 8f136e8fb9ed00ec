"""How AWS fails: partial failures, throttling, lost answers; and what happens at an exact moment.

The shapes are those of the API references: Kinesis PutRecords ("ErrorCode reflects the type of error and
can be one of ProvisionedThroughputExceededException or InternalFailure",
https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html), DynamoDB
BatchStatementError (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchStatementError.html)
and "Error handling with DynamoDB"
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html).
"""

import random
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle

import msgspec

from tests.faults.aws_proxy import Call, Fault, Forward, Json, LostError, Reply

RECORD_ERRORS = {
    "ProvisionedThroughputExceededException": "Rate exceeded for shard.",
    "InternalFailure": "Internal service failure.",
}
STATEMENT_ERRORS = {
    "ThrottlingError": "Throughput exceeds the current capacity for one or more global secondary indexes.",
    "ProvisionedThroughputExceeded": "The level of configured provisioned throughput was exceeded.",
}
SIGNATURE_ERRORS = ("ExpiredTokenException", "InvalidSignatureException")
DYNAMODB_CALLS = frozenset({"GetItem", "PutItem", "UpdateItem", "Query", "BatchGetItem"})

Matches = Callable[[Call], bool]


def failing_records(rate: float, choose: random.Random) -> Fault:
    """Of each PutRecords, this share of records fails; the others are taken."""
    return _failing(
        "PutRecords", "Records", "Records", cycle(map(_record_error, RECORD_ERRORS)), rate, choose
    )


def throttled_statements(rate: float, choose: random.Random) -> Fault:
    """Of each BatchExecuteStatement, this share of statements is throttled; the others are executed."""
    errors = cycle(map(_statement_error, STATEMENT_ERRORS))
    return _failing("BatchExecuteStatement", "Statements", "Responses", errors, rate, choose)


def throttled_calls(operations: frozenset[str], rate: float, choose: random.Random) -> Fault:
    """This share of these calls is refused as a whole, by either service's name for it."""

    async def fault(call: Call, forward: Forward) -> Reply:
        if call.operation in operations and choose.random() < rate:
            return _refused("ProvisionedThroughputExceededException")
        return await forward(call)

    return fault


def refused_signatures() -> Fault:
    """Every call is refused, as where credentials have expired or a clock is wrong."""
    codes = cycle(SIGNATURE_ERRORS)

    async def fault(call: Call, forward: Forward) -> Reply:
        return _refused(next(codes))

    return fault


def losing_answers(matches: Matches, rate: float, choose: random.Random) -> Fault:
    """The service does what was asked, and the connection breaks before the answer."""

    async def fault(call: Call, forward: Forward) -> Reply:
        reply = await forward(call)
        if matches(call) and choose.random() < rate:
            raise LostError
        return reply

    return fault


def before(matches: Matches, strike: Callable[[], None]) -> Fault:
    """Strikes once, when the first such call comes: it never arrives."""
    return _striking(matches, strike, forwards=False)


def after(matches: Matches, strike: Callable[[], None]) -> Fault:
    """Strikes once, when the first such call is done: its answer never arrives."""
    return _striking(matches, strike, forwards=True)


def _refused(code: str) -> Reply:
    return Reply(400, msgspec.json.encode({"__type": code, "message": f"an injected {code}"}))


def _striking(matches: Matches, strike: Callable[[], None], *, forwards: bool) -> Fault:
    struck = False

    async def fault(call: Call, forward: Forward) -> Reply:
        nonlocal struck
        if struck or not matches(call):
            return await forward(call)
        struck = True
        if forwards:
            await forward(call)
        strike()
        raise LostError

    return fault


def _failing(
    operation: str, asked: str, answered: str, errors: Iterator[Json], rate: float, choose: random.Random
) -> Fault:
    async def fault(call: Call, forward: Forward) -> Reply:
        if call.operation != operation:
            return await forward(call)
        spared = [place for place in range(len(call.request[asked])) if choose.random() >= rate]
        results: list[Json] = [next(errors) for _ in call.request[asked]]
        if spared:
            reply = await forward(call.with_only(asked, spared))
            for place, result in zip(spared, reply.answer[answered], strict=True):
                results[place] = result
        return Reply(200, msgspec.json.encode(_answer(answered, results)))

    return fault


def _answer(answered: str, results: Iterable[Json]) -> Json:
    listed = list(results)
    failed = {"FailedRecordCount": sum("ErrorCode" in each for each in listed)}
    return {answered: listed} | (failed if answered == "Records" else {})


def _record_error(code: str) -> Json:
    return {"ErrorCode": code, "ErrorMessage": RECORD_ERRORS[code]}


def _statement_error(code: str) -> Json:
    return {"Error": {"Code": code, "Message": STATEMENT_ERRORS[code]}}
