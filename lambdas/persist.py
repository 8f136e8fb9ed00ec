"""Lambda `persist`: the event stream into the events table, counted, the totals to the update stream."""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from threading import Lock
from typing import Any, Protocol

from lambdas import items, packs
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
from lambdas.calls import RETRY_PAUSES_S, aws_client, aws_credentials
from lambdas.relay import Relay, UpdateStream
from lambdas.reports import Reports
from lambdas.settings import PersistSettings
from lambdas.store import Arrival, Outcome, StoredEvents
from lambdas.wire import DynamoDB
from schemas.errors import EventError, FrameError
from schemas.events import Event
from schemas.frames import decode_frame
from schemas.logs import about, use_format
from schemas.programs import Totals
from schemas.settings import load
from schemas.updates import FunctionReported, ProgramTotals

log = logging.getLogger(__name__)
_starting = Lock()
"""A host invokes the function for several shards at once, from its very first invocation on."""


class Ledger(Protocol):
    """Where events are stored and counted, once each."""

    def insert(self, arrivals: Sequence[Arrival]) -> Outcome:
        """Idempotent. What can be stored is, as far as storing comes before counting."""

    def count(self, arrivals: Sequence[Arrival], stored: StoredEvents) -> Mapping[str, Totals]:
        """Counts arrivals whose records nothing keeps from being applied. Returns the totals of each
        program that they are of. Idempotent. Raises one of DEPENDENCY_ERRORS."""


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
    5. Relay the totals of every program in the batch, and how far behind this is. Both are absolute, so
       repetition is harmless, and a retry after a kill between 4 and 5 still relays.
    6. Only then report success. A record that could not be stored, and all behind it, are neither
       counted nor reported; if counting or relaying fails, the whole batch is retried.

    In the packed store 2 to 4 are one write for each program (lambdas/packs.py), made where 4 is.
    """

    def __init__(
        self,
        *,
        dynamodb: items.DynamoDB,
        kinesis: UpdateStream,
        s3: Bucket,
        settings: PersistSettings,
        pauses_s: Sequence[float] = RETRY_PAUSES_S,
    ) -> None:
        self._failed = FailedEvents(s3, settings.failed_events_bucket)
        self._ledger = ledger(dynamodb, settings, pauses_s=pauses_s)
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
        outcome = self._ledger.insert(arrivals)
        not_kept = self._failed.set_aside_all(poisons + outcome.refused)
        left = outcome.left + [poison.record for poison in not_kept]
        first = min(left, key=lambda record: record.position, default=None)
        applied = [each for each in arrivals if first is None or each.record.position < first.position]
        try:
            totals = self._ledger.count(applied, outcome.stored)
            lag = [FunctionReported(lag=self.reports.lag(records))] if records else []
            self._relay.put([*(ProgramTotals(program_id=id, totals=of) for id, of in totals.items()), *lag])
        except DEPENDENCY_ERRORS as error:
            log.warning("stored but not counted and relayed: %s", error)
            return records[0]
        self.reports.events(stored=len(applied), set_aside=len(poisons) + len(outcome.refused))
        if log.isEnabledFor(logging.DEBUG):
            refused = {(poison.record, poison.index) for poison in outcome.refused}
            _name(each.event for each in applied if (each.record, each.index) not in refused)
        return first


def ledger(dynamodb: items.DynamoDB, settings: PersistSettings, *, pauses_s: Sequence[float]) -> Ledger:
    """As EVENT_STORE says."""
    if settings.event_store == "items":
        return items.Items(
            dynamodb,
            events_table=settings.events_table,
            totals_table=settings.totals_table,
            pauses_s=pauses_s,
        )
    return packs.Packs(
        dynamodb,
        events_table=settings.events_table,
        totals_table=settings.totals_table,
        window_ms=settings.resend_window_s * 1_000,
        ids_max=settings.resend_ids_max,
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
        yield Arrival(record, index, event)


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
    dynamodb = DynamoDB(
        aws_client("dynamodb", settings.region).meta.endpoint_url,
        region=settings.region,
        credentials=aws_credentials(),
    )
    kinesis = aws_client("kinesis", settings.region)
    s3 = LateBucket(partial(aws_client, "s3", settings.region))
    return Persist(dynamodb=dynamodb, kinesis=kinesis, s3=s3, settings=settings)


def _name(events: Iterable[Event]) -> None:
    for event in events:
        log.debug("stored", extra=about(event.message_id, event.traceparent))
