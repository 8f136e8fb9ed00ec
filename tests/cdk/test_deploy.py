"""The stacks on MiniStack's CloudFormation: from nothing to a stored event, an update, and nothing.

`make test ARGS="-s tests/cdk/test_deploy.py"` shows it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from schemas.events import encode_event
from schemas.frames import encode_frame
from schemas.redis import RECORD_FIELDS, Record, program_key, read_program
from schemas.updates import ProgramChanged, encode_update
from tests.cdk.account import DEPLOYED, SERVICES, Account
from tests.conftest import running_ministack
from tests.factories import applied, program, view
from tests.system.conftest import until

TIMEOUT_S = 30


@pytest.fixture
def account(tmp_path: Path, valkey: str) -> Iterator[Account]:
    with running_ministack(tmp_path, SERVICES=SERVICES) as url:
        yield Account(url, valkey, tmp_path)


class Deployed:
    """What a user of the deployed streams and tables does and sees."""

    def __init__(self, account: Account, redis: Redis) -> None:
        self._names = account.outputs()
        self._kinesis = account.client("kinesis")
        self._dynamodb = account.client("dynamodb")
        self._redis = redis

    def put(self, stream: str, data: bytes) -> None:
        self._kinesis.put_record(StreamName=self._names[stream], Data=data, PartitionKey="key-0")

    def items(self, table: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self._dynamodb.scan(TableName=self._names[table])["Items"]
        return items

    def until_stored(self, events: int) -> None:
        until(lambda: len(self.items("EventsTable")) == events, timeout_s=TIMEOUT_S)

    def program(self) -> Record | None:
        return read_program(self._redis.hmget(program_key("212313"), RECORD_FIELDS))


def memory_mb(account: Account) -> dict[str, int]:
    functions = account.client("lambda").list_functions()["Functions"]
    return {each["Handler"]: each["MemorySize"] for each in functions}


def stacks(account: Account) -> set[str]:
    found = account.client("cloudformation").describe_stacks()["Stacks"]
    return {each["StackName"] for each in found}


@pytest.mark.timeout(300)
def test_the_stacks_are_deployed_work_are_updated_and_go(account: Account, valkey: str) -> None:
    account.bootstrap()
    print(account.deploy(account.synthesise()))
    with Redis.from_url(valkey) as redis:
        redis.flushall()
        deployed, names = Deployed(account, redis), account.outputs()

        deployed.put("EventStream", encode_frame([encode_event(view())]))
        deployed.until_stored(1)
        totals = until(lambda: deployed.items("TotalsTable"), timeout_s=TIMEOUT_S)
        print("One event in; out:", *deployed.items("EventsTable"), *totals, sep="\n")

        changed = applied(program(name="Autumn sale"))
        deployed.put("UpdateStream", encode_update(ProgramChanged(program=changed)))
        until(lambda: deployed.program() == Record(changed.version, changed), timeout_s=TIMEOUT_S)
        assert [each["program_id"]["S"] for each in deployed.items("ProgramsTable")] == ["212313"]

        second = account.synthesise("persist.memoryMb=512")
        print(update := account.deploy(second))
        assert "tracker-data (no changes)" in update
        assert memory_mb(account)["lambdas.persist.handler"] == 512
        assert account.outputs() == names
        deployed.put("EventStream", encode_frame([encode_event(view())]))
        deployed.until_stored(2)

    print(account.destroy(second))
    assert stacks(account).isdisjoint(DEPLOYED)
    assert account.client("dynamodb").list_tables()["TableNames"] == []
