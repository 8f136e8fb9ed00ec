"""The packed store: what a program got within a batch as one item, stored and counted in one write."""

import logging
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Lock
from typing import Any

from botocore.exceptions import ClientError

from lambdas.batch import Poison
from lambdas.calls import in_flight
from lambdas.lanes import QueryOptions, TotalsTable, lane_items
from lambdas.pack_log import PackLog, by_lane
from lambdas.store import Arrival, Outcome, StoredEvents
from schemas.dynamodb import is_storable, lane_from_item
from schemas.errors import EventError, UnavailableError
from schemas.packs import (
    EVENT_MAX_BYTES,
    PACKS_LANE,
    Head,
    Pack,
    head_from_item,
    head_item,
    pack_from_item,
    pack_item,
    packs_bucket,
)
from schemas.programs import Totals

MOST_ATTEMPTS = 32
"""Each failed attempt means that another delivery stored a pack of the program."""
LOG_KEPT_MS = 3_600_000
"""A log that was not looked at for so long is read again: by then a pack that it does not know of may have
expired, and its number would be free."""

log = logging.getLogger(__name__)


class Slot:
    """A program's log as this process knows it, for one thread at a time."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.log: PackLog | None = None
        self.read_at_ms = 0

    @property
    def ids(self) -> int:
        return len(self.log.recent.at_ms) if self.log else 0


class Packs:
    """Appends to each program's log what came in a batch (docs/decisions/0026-packed-store.md).

    Safe to be used by several threads, processes and functions at a time: a pack is stored only by one who
    knows all packs before it. Records that were delivered already are recognised for ever, by the fence of
    their lane; events that a client sent again, within the window.
    """

    def __init__(
        self,
        dynamodb: TotalsTable,
        *,
        events_table: str,
        totals_table: str,
        window_ms: int,
        ids_max: int,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """`ids_max` message ids are remembered between batches, or those of one program's window."""
        self._dynamodb = dynamodb
        self._events_table = events_table
        self._totals_table = totals_table
        self._window_ms = window_ms
        self._ids_max = ids_max
        self._clock_ms = clock_ms
        self._slots: OrderedDict[str, Slot] = OrderedDict()
        self._guard = Lock()

    def insert(self, arrivals: Sequence[Arrival]) -> Outcome:
        """Finds what no pack can hold. The others are stored when they are counted, in one."""
        refused = [
            Poison(each.record, EventError(refusal), each.payload, each.index, each.event.traceparent)
            for each in arrivals
            if (refusal := refusal_of(each))
        ]
        return Outcome(stored={}, refused=refused, left=[])

    def count(self, arrivals: Sequence[Arrival], stored: StoredEvents) -> Mapping[str, Totals]:
        programs: defaultdict[str, list[Arrival]] = defaultdict(list)
        for each in arrivals:
            if not refusal_of(each):
                programs[each.event.program.program_id].append(each)
        counted = dict(zip(programs, in_flight(self._append_all, list(programs.items())), strict=True))
        self._forget()
        return counted

    def _append_all(self, arrived: tuple[str, Sequence[Arrival]]) -> Totals:
        program_id, arrivals = arrived
        lanes = by_lane(arrivals)
        slot = self._slot(program_id)
        with slot.lock:
            for lane, events in lanes.items():
                self._append(program_id, slot, lane, events)
            assert slot.log
            self._put_head(slot.log)
            return slot.log.totals

    def _append(self, program_id: str, slot: Slot, lane: str, arrived: Sequence[Arrival]) -> None:
        """Stores what is past the lane's fence. Raises UnavailableError where others always come first."""
        known = self._known(program_id, slot)
        for _ in range(MOST_ATTEMPTS):
            stored = known.next(lane, arrived, self._clock_ms())
            if stored is None:
                return
            if self._put(program_id, stored.pack):
                known.append(stored)
            else:
                known.add(self._newer(known))
        raise UnavailableError(f"the packs of program {program_id} are contended")

    def _known(self, program_id: str, slot: Slot) -> PackLog:
        now_ms = self._clock_ms()
        if slot.log is None or now_ms - slot.read_at_ms > LOG_KEPT_MS:
            slot.log = self._read(program_id, now_ms)
        slot.read_at_ms = now_ms
        return slot.log

    def _read(self, program_id: str, now_ms: int) -> PackLog:
        """The log from its head, its newest packs and the lanes from before it."""
        lanes = {
            str(item["lane"]["S"]): item
            for item in lane_items(self._dynamodb, self._totals_table, program_id)
        }
        head = lanes.pop(PACKS_LANE, None)
        known = PackLog(
            program_id,
            head_from_item(head) if head else Head(),
            {lane: lane_from_item(item) for lane, item in lanes.items()},
            window_ms=self._window_ms,
        )
        known.add(self._newer(known, since_ms=now_ms - self._window_ms))
        return known

    def _newer(self, known: PackLog, *, since_ms: int | None = None) -> list[Pack]:
        """In order the packs that `known` does not know, and before them those since a time."""
        packs: list[Pack] = []
        for pack in self._newest_first(known.program_id):
            if pack.number <= known.number and (since_ms is None or pack.at_ms <= since_ms):
                break
            packs.append(pack)
        return packs[::-1]

    def _newest_first(self, program_id: str) -> Iterator[Pack]:
        page = QueryOptions()
        while True:
            answer = self._dynamodb.query(
                TableName=self._events_table,
                KeyConditionExpression="#bucket = :bucket",
                ExpressionAttributeNames={"#bucket": "bucket"},
                ExpressionAttributeValues={":bucket": {"S": packs_bucket(program_id)}},
                ConsistentRead=True,
                ScanIndexForward=False,
                **page,
            )
            yield from map(pack_from_item, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            page = QueryOptions(ExclusiveStartKey=answer["LastEvaluatedKey"])

    def _put(self, program_id: str, pack: Pack) -> bool:
        """Whether the pack's number was free."""
        return self._put_where(
            TableName=self._events_table,
            Item=pack_item(program_id, pack),
            ConditionExpression="attribute_not_exists(message_id)",
        )

    def _put_head(self, known: PackLog) -> None:
        """A head that is newer stays."""
        if known.headed < known.number:
            item = head_item(known.program_id, known.head)
            self._put_where(
                TableName=self._totals_table,
                Item=item,
                ConditionExpression="attribute_not_exists(program_id) OR packs < :packs",
                ExpressionAttributeValues={":packs": item["packs"]},
            )
            known.headed = known.number

    def _put_where(self, **request: Any) -> bool:
        try:
            self._dynamodb.put_item(**request)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def _slot(self, program_id: str) -> Slot:
        with self._guard:
            slot = self._slots.setdefault(program_id, Slot())
            self._slots.move_to_end(program_id)
            return slot

    def _forget(self) -> None:
        """The logs that were used least recently, until what is remembered is within its bound."""
        with self._guard:
            ids = sum(slot.ids for slot in self._slots.values())
            while ids > self._ids_max and len(self._slots) > 1:
                ids -= self._slots.popitem(last=False)[1].ids


def refusal_of(arrival: Arrival) -> str | None:
    """Why no pack can hold an event: its number is none of DynamoDB's, as of an item, or it is too large."""
    value = arrival.event.value
    if value is not None and not is_storable(value):
        return "value is not a number DynamoDB holds"
    if len(arrival.payload) > EVENT_MAX_BYTES:
        return f"the event is larger than {EVENT_MAX_BYTES} bytes"
    return None
