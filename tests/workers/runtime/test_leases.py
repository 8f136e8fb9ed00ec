from math import inf

import pytest
from msgspec.structs import replace

from schemas.leases import Lease
from tests.workers.dynamodb import LEASES, MemoryDynamoDB
from workers.runtime.keeper import Keeper
from workers.runtime.lease_table import LeaseTable
from workers.runtime.leases import GRACE_S, Watch

FAILOVER_S = 10.0
OWNED = Lease(key="a", counter=7, owner="worker-1", token="token")


def table() -> LeaseTable:
    return LeaseTable(MemoryDynamoDB(), LEASES, timeout_s=1)


def keeper(table: LeaseTable, name: str) -> Keeper:
    return Keeper(table, worker=name, failover_s=FAILOVER_S)


def test_a_lease_that_stands_still_is_free_after_the_failover_time_and_overdue_after_a_while() -> None:
    watch = Watch(FAILOVER_S)

    assert watch.look([OWNED], 100.0) == (set(), set(), 100.0 + FAILOVER_S)
    assert watch.look([OWNED], 110.0) == ({"a"}, set(), 110.0 + GRACE_S)
    assert watch.look([OWNED], 110.0 + GRACE_S) == ({"a"}, {"a"}, inf)


def test_that_somebody_asks_for_a_lease_is_no_sign_of_its_owner() -> None:
    watch = Watch(FAILOVER_S)
    watch.look([OWNED], 100.0)

    watch.look([replace(OWNED, wanted_by="worker-2")], 105.0)

    assert watch.look([replace(OWNED, wanted_by="worker-2")], 110.0).still == {"a"}
    assert watch.moved == set()


def test_a_renewed_lease_is_alive_from_then_on() -> None:
    watch = Watch(FAILOVER_S)
    watch.look([OWNED], 100.0)

    watch.look([replace(OWNED, counter=8)], 105.0)

    assert watch.look([replace(OWNED, counter=8)], 110.0) == (set(), set(), 115.0)
    assert watch.moved == {"a"}


@pytest.mark.parametrize("left", ["a", "b", "c"])
async def test_where_others_were_faster_the_free_lease_that_is_left_is_taken(left: str) -> None:
    leases = table()
    await leases.take(Lease(key="d"), owner="other", token="d")
    seen = await leases.read(["a", "b", "c", "d"])
    for key in {"a", "b", "c"} - {left}:
        await leases.take(seen[key], owner="faster", token=key)

    taken = await keeper(leases, "worker").take(list(seen.values()))

    assert [lease.key for lease in taken] == [left]


async def test_what_is_held_is_known_as_last_renewed() -> None:
    leases = table()
    worker = keeper(leases, "worker")
    await worker.take([Lease(key="a")])
    await leases.ask(worker.leases()["a"], by="other")

    await worker.renew()

    assert worker.leases() == await leases.read(["a"])
    assert worker.leases()["a"].wanted_by == "other"
