"""Where `persist` stores events: what a fault does to both stores is done to both."""

from typing import get_args

import pytest

from cdk.config import LOCAL
from schemas.settings import EventStoreName
from tests.faults.aws_proxy import Call

SAME_STORY = "The same with EVENT_STORE=packed."
in_both_stores = pytest.mark.parametrize("system", get_args(EventStoreName), indirect=True)


def titled(title: str, store: EventStoreName) -> str:
    return title if store == "items" else f"{title}, packed"


def told(story: str, store: EventStoreName) -> str:
    """Once: the items' row comes first."""
    return story if store == "items" else SAME_STORY


def stores_events(call: Call) -> bool:
    """Events are inserted: twenty-five items, or a pack, which counts what it stores."""
    return call.operation == "BatchExecuteStatement" or _puts(call, LOCAL.events.name)


def begins_to_count(call: Call) -> bool:
    """The first call to the totals once something is stored: a lane is read, or the head of a program's
    packs is written."""
    return _gets(call, LOCAL.totals.name) or _puts(call, LOCAL.totals.name)


def counts(call: Call) -> bool:
    """A lane's fence moves, or the head of a program's packs."""
    return _puts(call, LOCAL.totals.name)


def _gets(call: Call, table: str) -> bool:
    return call.operation == "GetItem" and call.subject == table


def _puts(call: Call, table: str) -> bool:
    return call.operation == "PutItem" and call.subject == table
