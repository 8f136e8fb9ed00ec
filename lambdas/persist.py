"""Lambda `persist`: the event stream into the events table, counted, the totals to the update stream."""

import logging
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, partial
from threading import Lock
from typing import Any, Protocol

from lambdas.batch import (
    DEPENDENCY_ERRORS,
    Answer,
    Bucket,
    FailedEvents,
    LateBucket,
    Poison,
    Record,
    answer,
    decode_batch,
)
from lambdas.calls import RETRY_PAUSES_S, aws_client, in_flight
from lambdas.lanes import Lanes, TotalsTable
from lambdas.relay import Relay, UpdateStream
from lambdas.reports import Reports
from lambdas.settings import PersistSettings
from lambdas.store import Arrival, EventsTable, EventStore, StoredEvents, arrival
from schemas.errors import EventError, FrameError
from schemas.events import Event
from schemas.frames import decode_frame
from schemas.logs import about, use_format
from schemas.programs import Totals
from schemas.settings import load
from schemas.updates import ProgramTotals

Lane = tuple[str, str]
"""A program id and one of its lanes."""

log = logging.getLogger(__name__)
_starting = Lock()
"""A host invokes the function for several shards at once, from its very first invocation on."""


class DynamoDB(EventsTable, TotalsTable, Protocol):
    """The part of a DynamoDB client that `persist` takes."""


class Persist:
    """Applies batches of the event stream. Exactly once by construction, at any kill or redelivery:

    1. Decode each record's frame. What does not decode is poison.
    2. Store: each event is one item with this record as its origin, inserted only if its key is free.
       What no item can hold is poison. Set poison aside; it never blocks.
    3. Read the origin of each event that was there already. An event counts for the record that is
       its item's origin: a retried record finds its own items and counts them again, a resend finds
       another record's and counts nothing. So what a record counts is a function of the table.
    4. Count: add to each lane the counts of records past its fence, and move the fence to the last of
       them, in one conditional write. Whoever delivers a record again finds it behind the fence.
    5. Relay the totals of every program in the batch. They are absolute, so repetition is harmless,
       and a retry after a kill between 4 and 5 still relays.
    6. Only then report success. A record that could not be stored, and all behind it, are neither
       counted nor reported; if counting or relaying fails, the whole batch is retried.
    """

    def __init__(
        self,
        *,
        dynamodb: DynamoDB,
        kinesis: UpdateStream,
        s3: Bucket,
        settings: PersistSettings,
        pauses_s: Sequence[float] = RETRY_PAUSES_S,
    ) -> None:
        self._failed = FailedEvents(s3, settings.failed_events_bucket)
        self._events = EventStore(dynamodb, settings.events_table, pauses_s=pauses_s)
        self._lanes = Lanes(dynamodb, settings.totals_table)
        self._relay = Relay(kinesis, settings.update_stream, pauses_s=pauses_s)
        self.reports = Reports(settings, "persist")

    def apply(self, records: Sequence[Record]) -> Record | None:
        """Returns the first record that is not applied, None when all are.

        The records are of one shard, in order. Idempotent, also when called for overlapping batches
        at the same time, as long as each lane's records come in order.
        """
        things = [thing for record in records for thing in decoded(record)]
        arrivals = [thing for thing in things if isinstance(thing, Arrival)]
        poisons = [thing for thing in things if isinstance(thing, Poison)]
        outcome = self._events.insert(arrivals)
        not_kept = self._failed.set_aside_all(poisons + outcome.refused)
        left = outcome.left + [poison.record for poison in not_kept]
        first = min(left, key=lambda record: record.position, default=None)
        applied = [each for each in arrivals if first is None or each.record.position < first.position]
        try:
            self._count(applied, outcome.stored)
            self._relay_totals(applied, outcome.stored)
        except DEPENDENCY_ERRORS as error:
            log.warning("stored but not counted and relayed: %s", error)
            return records[0]
        self.reports.events(stored=len(applied), set_aside=len(poisons) + len(outcome.refused))
        if log.isEnabledFor(logging.DEBUG):
            _name(each.event for each in applied if each.key in outcome.stored)
        return first

    def _count(self, arrivals: Sequence[Arrival], stored: StoredEvents) -> None:
        for _ in in_flight(self._add, list(tally(arrivals, stored).items())):
            pass

    def _add(self, tallied: tuple[Lane, dict[str, Totals]]) -> None:
        (program_id, lane), counts = tallied
        self._lanes.add(program_id, lane, counts)

    def _relay_totals(self, arrivals: Sequence[Arrival], stored: StoredEvents) -> None:
        programs = sorted({each.event.program.program_id for each in arrivals if each.key in stored})
        totals = in_flight(self._lanes.totals, programs)
        self._relay.put(
            [ProgramTotals(program_id=each, totals=of) for each, of in zip(programs, totals, strict=True)]
        )


def decoded(record: Record) -> Iterator[Arrival | Poison]:
    """What is in a record: each event, or why it is none."""
    try:
        frame = decode_frame(record.data)
    except FrameError as error:
        yield Poison(record, error, record.data)
        return
    for failed in frame.failed:
        yield Poison(record, EventError(failed.detail), failed.payload, failed.index)
    for index, event in frame.placed:
        yield arrival(record, index, event)


def tally(arrivals: Iterable[Arrival], stored: StoredEvents) -> dict[Lane, dict[str, Totals]]:
    """What each record counts, by lane and sequence number: the items whose origin it is."""
    own = {each.key: each for each in arrivals if _is_origin(each, stored)}
    counts: defaultdict[tuple[Lane, str], Counter[str]] = defaultdict(Counter)
    for key, each in own.items():
        lane = (each.event.program.program_id, each.record.lane)
        counts[lane, each.record.sequence_number][stored[key].counts_as] += 1
    tallies: defaultdict[Lane, dict[str, Totals]] = defaultdict(dict)
    for (lane, sequence_number), counter in counts.items():
        tallies[lane][sequence_number] = Totals(**counter)
    return tallies


def handler(event: dict[str, Any], context: object) -> Answer:
    """Takes a Kinesis batch, answers with the sequence number to retry from, if any."""
    with _starting:
        persist = compose()
    records = decode_batch(event)
    return answer(persist.reports.batch(records, persist.apply(records)))


@cache
def compose() -> Persist:
    """One for the life of the Lambda environment, so that connections stay open between batches."""
    settings = load(PersistSettings, os.environ)
    logging.getLogger("lambdas").setLevel(settings.log_level)
    use_format(settings.log_format)
    dynamodb, kinesis = (aws_client(each, settings.region) for each in ("dynamodb", "kinesis"))
    s3 = LateBucket(partial(aws_client, "s3", settings.region))
    return Persist(dynamodb=dynamodb, kinesis=kinesis, s3=s3, settings=settings)


def _name(events: Iterable[Event]) -> None:
    for event in events:
        log.debug("stored", extra=about(event.message_id, event.traceparent))


def _is_origin(arrival: Arrival, stored: StoredEvents) -> bool:
    held = stored.get(arrival.key)
    return held is not None and held.origin == arrival.origin
