"""What `persist` reads and changes: shards that issue records, and a world in memory."""

from collections.abc import Sequence
from itertools import count
from uuid import UUID

from msgspec.structs import replace

from lambdas.batch import Record
from lambdas.persist import Persist
from lambdas.settings import PersistSettings
from schemas.dynamodb import EVENTS_KEY, PROGRAMS_KEY, TOTALS_KEY, Item, sum_of_lanes
from schemas.events import Event, encode_event
from schemas.failures import FailedRecord, decode_failed
from schemas.frames import decode_frame, encode_frame
from schemas.packs import Pack, pack_from_item, packs_bucket
from schemas.programs import Totals
from schemas.settings import EventStoreName
from schemas.updates import ProgramTotals, decode_update
from tests.factories import NOW_MS
from tests.lambdas.memory import MemoryBucket, MemoryDynamoDB, MemoryStream, Steps

SETTINGS = PersistSettings(
    events_table="events", totals_table="totals", update_stream="updates", failed_events_bucket="failed"
)
FIRST_SEQUENCE_NUMBER = 10**56 - 2
"""Two records on, sequence numbers have a digit more: text would order them wrongly."""
MOST_DELIVERIES = 50
TABLES = {"events": EVENTS_KEY, "totals": TOTALS_KEY, "programs": PROGRAMS_KEY}


class Shard:
    """Issues the records of one shard, in order."""

    def __init__(self, number: int = 0, *, first: int = FIRST_SEQUENCE_NUMBER) -> None:
        self.shard_id = f"shardId-{number:012d}"
        self._sequence_numbers = count(first)

    def frame(self, *events: Event, key: str | None = "key-0") -> Record:
        return self.record(encode_frame([encode_event(event) for event in events]), key=key)

    def record(self, data: bytes, *, key: str | None = "key-0") -> Record:
        return Record(
            stream="stream",
            shard_id=self.shard_id,
            sequence_number=str(next(self._sequence_numbers)),
            data=data,
            arrived_at_ms=NOW_MS,
            partition_key=key,
        )


class World:
    """Everything that `persist` changes, in memory, and what tests ask of it."""

    def __init__(self, event_store: EventStoreName = "items") -> None:
        self.settings = replace(SETTINGS, event_store=event_store)
        self.steps = Steps()
        self.dynamodb = MemoryDynamoDB(self.steps, TABLES)
        self.updates = MemoryStream(self.steps)
        self.bucket = MemoryBucket(self.steps)

    def persist(self) -> Persist:
        return Persist(
            dynamodb=self.dynamodb,
            kinesis=self.updates,
            s3=self.bucket,
            settings=self.settings,
            pauses_s=(0.0, 0.0),
        )

    def deliver(self, records: Sequence[Record]) -> None:
        """Delivers from the first record not applied, again and again, as Lambda does."""
        left = list(records)
        for _ in range(MOST_DELIVERIES):
            first = self.persist().apply(left)
            if first is None:
                return
            left = left[left.index(first) :]
        raise AssertionError(f"{len(left)} records were never applied")

    @property
    def items(self) -> list[Item]:
        return list(self.dynamodb.tables["events"].values())

    def packs(self, program_id: str = "212313") -> list[Pack]:
        """Of a program, in their order."""
        held = sorted(self.dynamodb.tables["events"].items())
        return [pack_from_item(item) for (bucket, _), item in held if bucket == packs_bucket(program_id)]

    def packed(self, program_id: str = "212313") -> list[Event]:
        """The events in a program's packs."""
        return [event for pack in self.packs(program_id) for event in decode_frame(pack.frame).events]

    @property
    def stored_ids(self) -> set[UUID]:
        return {UUID(str(item["message_id"]["S"])) for item in self.items}

    def totals(self, program_id: str = "212313") -> Totals:
        lanes = self.dynamodb.tables["totals"].values()
        return sum_of_lanes(lane for lane in lanes if lane["program_id"]["S"] == program_id)

    @property
    def relayed(self) -> dict[str, Totals]:
        """The newest totals on the update stream, by program: those that count the most events."""
        return {
            each.program_id: each.totals for each in sorted(self._relayed, key=lambda it: it.totals.stored)
        }

    @property
    def _relayed(self) -> list[ProgramTotals]:
        updates = [decode_update(data) for data in self.updates.records]
        return [each for each in updates if isinstance(each, ProgramTotals)]

    @property
    def failed(self) -> dict[str, FailedRecord]:
        return {key: decode_failed(body) for key, body in self.bucket.objects.items()}
