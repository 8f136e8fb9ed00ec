"""Persist that dies between any two of its steps."""

from cdk.config import LOCAL
from tests.faults.aws_faults import Matches, after, before
from tests.faults.aws_proxy import Call
from tests.faults.killing import Moment, killing, totals_arrive
from tests.faults.ordeal import Ordeal
from tests.faults.stack import System

TIMES = 3


async def test_persist_killed_while_it_stores(ordeal: Ordeal) -> None:
    """Persist killed while it stores.

    Three times the persist host gets SIGKILL at the moment that DynamoDB has executed an insert and before
    it answers: part of a batch is stored, nothing of it is counted.
    """
    async with ordeal.under_load():
        await _kill_at(ordeal.system, "persist", "dynamodb", after, _is_insert)


async def test_persist_killed_between_store_and_count(ordeal: Ordeal) -> None:
    """Persist killed between store and count.

    Three times the persist host gets SIGKILL when a batch is stored, at its first call to the totals: that
    call never arrives.
    """
    async with ordeal.under_load():
        await _kill_at(ordeal.system, "persist", "dynamodb", before, _is_read_of_totals)


async def test_persist_killed_while_it_counts(ordeal: Ordeal) -> None:
    """Persist killed while it counts.

    Three times the persist host gets SIGKILL at the moment that DynamoDB has moved a lane's fence and
    before it answers: one lane of a batch is counted, the others are not.
    """
    async with ordeal.under_load():
        await _kill_at(ordeal.system, "persist", "dynamodb", after, _is_count)


async def test_persist_killed_between_count_and_relay(ordeal: Ordeal) -> None:
    """Persist killed between count and relay.

    Three times the persist host gets SIGKILL when a batch is counted, at its put on the update stream: it
    never arrives.
    """
    async with ordeal.under_load():
        await _kill_at(ordeal.system, "persist", "kinesis", before, _is_relay)
    await totals_arrive(ordeal)


async def test_persist_killed_between_relay_and_report(ordeal: Ordeal) -> None:
    """Persist killed between relay and report.

    Three times the persist host gets SIGKILL when the totals of a batch are on the update stream and
    before it hears so: the batch is never reported done and is delivered again.
    """
    async with ordeal.under_load():
        await _kill_at(ordeal.system, "persist", "kinesis", after, _is_relay)


async def test_persist_killed_before_its_report(ordeal: Ordeal) -> None:
    """Persist killed before its position is saved.

    Three times the persist host gets SIGKILL when a batch succeeded, at the moment that it saves how far
    it has read: that never arrives, and the batch is delivered again.
    """
    async with ordeal.under_load():
        await _kill_at(ordeal.system, "persist", "dynamodb", before, _is_report)


async def _kill_at(system: System, name: str, service: str, moment: Moment, matches: Matches) -> None:
    proxy = system.kinesis if service == "kinesis" else system.dynamodb
    for _ in range(TIMES):
        async with killing(system, name, proxy, moment, matches):
            pass


def _is_insert(call: Call) -> bool:
    return call.operation == "BatchExecuteStatement"


def _is_read_of_totals(call: Call) -> bool:
    return call.operation == "GetItem" and call.subject == LOCAL.totals.name


def _is_count(call: Call) -> bool:
    return call.operation == "PutItem" and call.subject == LOCAL.totals.name


def _is_relay(call: Call) -> bool:
    return call.operation == "PutRecords" and call.subject == LOCAL.update_stream.name


def _is_report(call: Call) -> bool:
    key = call.request.get("Key", {}).get("lease_key", {}).get("S", "")
    return call.operation == "UpdateItem" and key.startswith("persist/")
