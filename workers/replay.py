"""Puts what failed back on the stream it came from."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from schemas.errors import PoisonError
from schemas.failures import DiscardedBatch, FailedRecord, Failure, decode_failure
from workers.failed import S3, FailedObjects
from workers.listing import Place
from workers.packed import PackedEvents
from workers.recount import Recount, described
from workers.restore import Marks, Restored, Streams, arrived_ms, furthest, marks, restored
from workers.runtime.puts import Puts

Say = Callable[[str], None]


class Found(NamedTuple):
    """What an object gives back, since when any of that may have been stored, and up to where its lanes were
    given up."""

    restored: Restored
    since_ms: int
    marks: Marks


class Replayed(NamedTuple):
    """How many objects are done with, and how many are kept because they would only fail again."""

    replayed: int
    kept: int


class Replay:
    """Puts failures back, each in this order:

    1. Decode what it holds. What would only fail again is kept, and said. What is in a pack already is
       left out.
    2. Put its records on the stream they came from, under their partition keys.
    3. After a batch of events that was given up, once all objects are put: move its lanes' fences past
       it and put their totals right (`Recount`). What it had stored before counts there; what it had
       not counts where it is stored now.
    4. Only then delete the object.

    A kill between 2 and 4 puts the same records back again, which changes nothing: events are known by
    their message id, updates by their version. Raises what AWS raises, or UnavailableError.
    """

    def __init__(
        self,
        s3: S3,
        puts: Puts,
        recount: Recount,
        packed: PackedEvents,
        *,
        streams: Streams,
        say: Say = print,
    ) -> None:
        self._objects = FailedObjects(s3)
        self._packed = packed
        self._puts = puts
        self._recount = recount
        self._streams = streams
        self._say = say

    async def run(self, buckets: Sequence[str], *, prefix: str = "") -> Replayed:
        """Replays every object whose key begins with `prefix`."""
        kept, given_up = 0, dict[Place, Marks]()
        replayed = 0
        async for place in self._objects.places(buckets, prefix):
            found = await self._found(place)
            if found is None:
                kept += 1
                continue
            replayed += 1
            await self._puts.put(*await self._left(found))
            if found.marks:
                given_up[place] = found.marks
            else:
                await self._objects.delete(place)
        await self._settle(given_up)
        return Replayed(replayed, kept)

    async def preview(self, buckets: Sequence[str], *, prefix: str = "") -> Replayed:
        """Says what `run` would do, and does nothing."""
        found = [await self._found(place) async for place in self._objects.places(buckets, prefix)]
        kept = found.count(None)
        return Replayed(len(found) - kept, kept)

    async def _found(self, place: Place) -> Found | None:
        data = await self._objects.read(place)
        try:
            found = self._decoded(decode_failure(data))
        except (PoisonError, msgspec.MsgspecError) as error:
            self._say(f"{place} is kept: {error}")
            return None
        self._say(f"{place}: records for {found.restored.stream}: {len(found.restored.entries)}")
        return found

    async def _left(self, found: Found) -> Restored:
        stream, entries = found.restored
        if stream != self._streams.events:
            return found.restored
        return Restored(stream, await self._packed.without(entries, since_ms=found.since_ms))

    def _decoded(self, failure: Failure) -> Found:
        records = restored(failure, self._streams)
        if isinstance(failure, DiscardedBatch) and failure.stream == self._streams.events:
            return Found(records, arrived_ms(failure), marks(failure))
        return Found(records, failure.failed_at_ms if isinstance(failure, FailedRecord) else 0, {})

    async def _settle(self, given_up: Mapping[Place, Marks]) -> None:
        for program_id, lanes in furthest(given_up.values()).items():
            self._say(described(await self._recount.program(program_id, lanes)))
        for place in given_up:
            await self._objects.delete(place)
