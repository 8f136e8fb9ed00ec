"""The store of one item for each event, and how its items are counted."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from lambdas.calls import in_flight
from lambdas.lanes import Lanes, TotalsTable
from lambdas.store import Arrival, EventsTable, EventStore, Outcome, StoredEvents
from schemas.programs import Totals

Lane = tuple[str, str]
"""A program id and one of its lanes."""


class DynamoDB(EventsTable, TotalsTable, Protocol):
    """The part of a DynamoDB client that items take."""


class Items:
    """Inserts an item for each event, and counts the items of each record in its lane."""

    def __init__(
        self, dynamodb: DynamoDB, *, events_table: str, totals_table: str, pauses_s: Sequence[float]
    ) -> None:
        self._events = EventStore(dynamodb, events_table, pauses_s=pauses_s)
        self._lanes = Lanes(dynamodb, totals_table)

    def insert(self, arrivals: Sequence[Arrival]) -> Outcome:
        return self._events.insert(arrivals)

    def count(self, arrivals: Sequence[Arrival], stored: StoredEvents) -> Mapping[str, Totals]:
        for _ in in_flight(self._add, list(tally(arrivals, stored).items())):
            pass
        programs = sorted({each.event.program.program_id for each in arrivals if each.key in stored})
        return dict(zip(programs, in_flight(self._lanes.totals, programs), strict=True))

    def _add(self, tallied: tuple[Lane, dict[str, Totals]]) -> None:
        (program_id, lane), counts = tallied
        self._lanes.add(program_id, lane, counts)


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


def _is_origin(arrival: Arrival, stored: StoredEvents) -> bool:
    held = stored.get(arrival.key)
    return held is not None and held.origin == arrival.origin
