"""Persist that dies between any two of its steps."""

from cdk.config import LOCAL
from tests.faults.aws_faults import Matches, after, before
from tests.faults.aws_proxy import Call
from tests.faults.killing import Moment, killing, totals_arrive
from tests.faults.ordeal import Ordeal
from tests.faults.stack import System
from tests.faults.stores import begins_to_count, counts, in_both_stores, stores_events

TIMES = 3


@in_both_stores
async def test_persist_killed_while_it_stores(ordeal: Ordeal) -> None:
    """Persist killed while it stores.

    Three times the persist host gets SIGKILL at the moment that DynamoDB has executed an insert and before
    it answers: part of a batch is stored, and of items nothing is counted.
    """
    async with ordeal.under_load():
        await _kill_at(ordeal.system, "persist", "dynamodb", after, stores_events)


@in_both_stores
async def test_persist_killed_between_store_and_count(ordeal: Ordeal) -> None:
    """Persist killed between store and count.

    Three times the persist host gets SIGKILL when a batch is stored, at its first call to the totals: that
    call never arrives.
    """
    async with ordeal.under_load():
        await _kill_at(ordeal.system, "persist", "dynamodb", before, begins_to_count)


@in_both_stores
async def test_persist_killed_while_it_counts(ordeal: Ordeal) -> None:
    """Persist killed while it counts.

    Three times the persist host gets SIGKILL at the moment that DynamoDB has moved a lane's fence (of
    packs: a program's head) and before it answers: one of a batch is counted, the others are not.
    """
    async with ordeal.under_load():
        await _kill_at(ordeal.system, "persist", "dynamodb", after, counts)


@in_both_stores
async def test_persist_killed_between_count_and_relay(ordeal: Ordeal) -> None:
    """Persist killed between count and relay.

    Three times the persist host gets SIGKILL when a batch is counted, at its put on the update stream: it
    never arrives.
    """
    async with ordeal.under_load():
        await _kill_at(ordeal.system, "persist", "kinesis", before, _is_relay)
    await totals_arrive(ordeal)


@in_both_stores
async def test_persist_killed_between_relay_and_report(ordeal: Ordeal) -> None:
    """Persist killed between relay and report.

    Three times the persist host gets SIGKILL when the totals of a batch are on the update stream and
    before it hears so: the batch is never reported done and is delivered again.
    """
    async with ordeal.under_load():
        await _kill_at(ordeal.system, "persist", "kinesis", after, _is_relay)


@in_both_stores
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


def _is_relay(call: Call) -> bool:
    return call.operation == "PutRecords" and call.subject == LOCAL.update_stream.name


def _is_report(call: Call) -> bool:
    key = call.request.get("Key", {}).get("lease_key", {}).get("S", "")
    return call.operation == "UpdateItem" and key.startswith("persist/")
