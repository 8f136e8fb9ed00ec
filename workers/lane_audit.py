"""Compares what a program's lanes have counted with the events that are stored. Pure.

A lane's totals of a program are right when they are the number of the program's events whose origin is
in that lane at or before its fence. Storing precedes counting, so every such event was in the table
before the fence came to stand where it stands: whoever reads the lanes first and the events then counts
exactly, whatever goes on meanwhile. An event behind no fence is no error: its record is in flight, or
given up. Only the record of a batch that was given up may move a fence: nothing up to it in its lane
will ever be delivered again.

Events that expire are gone from the table and still count. Of a program that has such events no lane is
made to count less: what it holds and what is stored are both at most what is right.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from schemas.dynamodb import LaneTotals, StoredEvent
from schemas.programs import Totals

GivenUp = Mapping[str, str]
"""By lane, the last sequence number that was given up."""


class Correction(NamedTuple):
    """A lane as it was read, and as it would be right. `held` is None where there was no lane."""

    lane: str
    held: LaneTotals | None
    right: LaneTotals


class LaneAudit:
    """Takes every stored event of one program, once; then says which lanes are wrong."""

    def __init__(self, lanes: Mapping[str, LaneTotals], given_up: GivenUp, *, expiring: bool = False) -> None:
        self.uncounted = 0
        """Events behind no fence: in flight, or given up and not replayed."""
        self._expiring = expiring
        self._lanes = lanes
        self._fences = {lane: counted.sequence_number for lane, counted in lanes.items()}
        for lane, sequence_number in given_up.items():
            self._fences[lane] = max(self._fences.get(lane, "-1"), sequence_number, key=int)
        self._limits = {lane: int(fence) for lane, fence in self._fences.items()}
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def add(self, event: StoredEvent) -> None:
        self._expiring |= event.expires
        lane, sequence_number = event.origin
        if int(sequence_number) <= self._limits.get(lane, -1):
            self._counts[lane][event.counts_as] += 1
        else:
            self.uncounted += 1

    def corrections(self) -> Iterator[Correction]:
        """For each lane that does not hold what is stored."""
        for lane, fence in self._fences.items():
            held = self._lanes.get(lane, LaneTotals(fence, Totals()))
            right = held._replace(sequence_number=fence, totals=self._right(lane, held.totals))
            if right != held:
                corrected = right._replace(corrections=held.corrections + 1)
                yield Correction(lane, self._lanes.get(lane), corrected)

    def _right(self, lane: str, held: Totals) -> Totals:
        stored = Totals(**self._counts[lane])
        return stored.at_least(held) if self._expiring else stored


def rebased(correction: Correction, now: LaneTotals | None) -> LaneTotals | None:
    """What to replace the lane with, given how it is now; None when it is to be audited anew.

    Counting adds to a lane what its records stored, so it leaves a difference as it is: where only
    the fence went on, the same difference is added to the newer totals.
    """
    _, held, right = correction
    if now == held:
        return right
    if now is None or held is None or now.corrections != held.corrections:
        return None
    if right.sequence_number != held.sequence_number:
        return None
    return LaneTotals(now.sequence_number, now.totals + (right.totals - held.totals), right.corrections)
