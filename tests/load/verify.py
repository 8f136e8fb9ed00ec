"""Whether the tables hold what a load was told they do: the ledger of its events."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import closing

from cdk.local.audit import Audit, Entry, audit
from cdk.local.stack_file import StackFile
from cdk.local.stored import Stored
from tests.load.events import Events

EVENTS_MAX = 1_000_000
"""What an audit takes: it holds every id in memory, and reads the whole table."""
STALL_S = 30.0
"""Without one more event stored in this time, waiting has no use: the ledger tells what is missing."""
POLL_S = 0.5


async def verify(
    stack: StackFile,
    events: Events,
    *,
    sent: Iterable[int],
    unacknowledged: set[int],
    stall_s: float = STALL_S,
) -> Audit:
    """The ledger once it balances, or when waiting has no more use.

    Others may send meanwhile: their events have to be counted right, too, and are not asked for.
    """
    acknowledged = list(events.entries(number for number in sent if number not in unacknowledged))
    uncertain = set(events.entries(unacknowledged))
    with closing(Stored(stack)) as stored:
        counted, since_s = -1, time.monotonic()
        while True:
            totals = await stored.totals()
            before, counted = counted, sum(each.stored for each in totals.values())
            if counted == before:
                entries = await stored.entries()
                found = audit(
                    acknowledged=_as_answered(acknowledged, entries),
                    stored=entries,
                    totals=totals,
                    expected_extra=uncertain | _of_others(events, entries),
                )
                if found.balanced or time.monotonic() - since_s > stall_s:
                    return found
            else:
                since_s = time.monotonic()
            await asyncio.sleep(POLL_S)


def _as_answered(acknowledged: Iterable[Entry], stored: Iterable[Entry]) -> Iterator[Entry]:
    """Whether a right one counts is the tracker's to say: its program may be paused, or its budget spent."""
    invalid = {entry.message_id for entry in stored if entry.counts_as == "invalid"}
    for entry in acknowledged:
        yield entry._replace(counts_as="invalid") if entry.message_id in invalid else entry


def _of_others(events: Events, stored: Iterable[Entry]) -> set[Entry]:
    return {entry for entry in stored if not events.holds(entry.message_id)}
