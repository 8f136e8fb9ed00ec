"""Which leases a worker takes, and which it asks for. Pure.

The rules are those of AWS's Kinesis Client Library 3 (github.com/awslabs/amazon-kinesis-client:
docs/kcl_3x_deep-dive.md, docs/lease-lifecycle.md, docs/kcl-configurations.md, Lease.java), without its
elected leader: each worker decides for itself from the same rows, and conditional writes settle who wins.

1. A lease is alive while its counter grows. Its age is measured by the clock of whoever looks, never by the
   owner's (Lease.lastCounterIncrementNanos); one that stood still for the failover time is free. That
   somebody asks for a lease is no sign that its owner lives.
2. Every acquisition has a token of its own. A commit asks for it: a worker that lost its lease, even one
   that has it again, commits nothing under the old one.
3. A worker takes free leases up to its share: all of them by the workers there are, rounded up. Where
   another was faster, it takes the next free one instead. One that nobody has taken for a while after that
   anyone takes: who should have may be gone.
4. Where nothing is free, it asks the worker with most for one at a time, as long as that one has at
   least two more: so every worker ends within one of the others, and then nothing moves any more.
5. What is asked for is handed over: its owner commits, then lets go; the others leave it to who asked.
6. A shard is read once its parents are at their end (`readable` in positions.py).
"""

import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from math import inf
from typing import NamedTuple

from schemas.leases import Lease

GRACE_S = 0.5
"""How long free leases are left to those who have not got their share."""


class Sighting(NamedTuple):
    """What a lease looked like, and since when."""

    state: tuple[str | None, int]
    since_s: float


class Stillness(NamedTuple):
    """The keys of leases that have stood still for the failover time, and of those long past it; and when
    that will be so of the next one."""

    still: set[str]
    overdue: set[str]
    next_s: float


class Watch:
    """Remembers since when each lease has stood still, by this worker's monotonic clock."""

    def __init__(self, failover_s: float) -> None:
        self.moved: set[str] = set()
        """The keys of leases that were seen to change: somebody is alive."""
        self._failover_s = failover_s
        self._seen: dict[str, Sighting] = {}

    def look(self, leases: Iterable[Lease], now_s: float) -> Stillness:
        """What has stood still. A lease that is seen for the first time is new."""
        still_s = {lease.key: self._since_s(lease, now_s) + self._failover_s for lease in leases}
        moments_s = [*still_s.values(), *(at_s + GRACE_S for at_s in still_s.values())]
        return Stillness(
            still={key for key, at_s in still_s.items() if at_s <= now_s},
            overdue={key for key, at_s in still_s.items() if at_s + GRACE_S <= now_s},
            next_s=min((at_s for at_s in moments_s if at_s > now_s), default=inf),
        )

    def _since_s(self, lease: Lease, now_s: float) -> float:
        state = (lease.token, lease.counter)
        seen = self._seen.get(lease.key)
        if seen is None or seen.state != state:
            if seen is not None:
                self.moved.add(lease.key)
            seen = self._seen[lease.key] = Sighting(state, now_s)
        return seen.since_s


class Plan(NamedTuple):
    """What to do now: leases to take, those to take instead where others were faster, and leases to ask their
    owners for."""

    take: list[Lease]
    spare: list[Lease]
    ask: list[Lease]


def plan(leases: Sequence[Lease], *, worker: str, held: Iterable[str], seen: Stillness) -> Plan:
    """What `worker` does about the readable leases of its agents.

    `held` are the keys of those it holds. A lease that names it as owner without its knowing is one whose
    taking was answered to nobody: it is free.
    """
    mine = set(held)
    holders = {lease.key: _holder(lease, worker, mine, seen.still) for lease in leases}
    counts = Counter({worker: 0}) + Counter(holder for holder in holders.values() if holder is not None)
    counts.setdefault(worker, 0)
    own = counts[worker]
    free = [lease for lease in _shuffled(leases, worker) if holders[lease.key] is None]
    share = -(-len(leases) // len(counts))
    reserved = [lease for lease in leases if lease.owner is None and holders[lease.key] == worker]
    room = max(0, share - own)
    take = reserved + free[:room] + [lease for lease in free[room:] if lease.key in seen.overdue]
    spare = [lease for lease in free[room:] if lease.key not in seen.overdue]
    return Plan(take, spare, [] if free else _asked(leases, holders, counts, worker))


def _holder(lease: Lease, worker: str, mine: set[str], still: set[str]) -> str | None:
    """Who has it, or is to have it; None where it is free."""
    if lease.key in mine:
        return lease.wanted_by or worker
    if lease.key in still or lease.owner == worker:
        return None
    return lease.wanted_by or lease.owner


def _asked(
    leases: Sequence[Lease], holders: dict[str, str | None], counts: "Counter[str]", worker: str
) -> list[Lease]:
    asked = []
    for lease in _shuffled(leases, worker):
        holder = holders[lease.key]
        if holder is None or lease.wanted_by is not None or counts[holder] < max(counts.values()):
            continue
        if counts[holder] - counts[worker] >= 2:
            asked.append(lease)
            counts[holder] -= 1
            counts[worker] += 1
    return asked


def _shuffled(leases: Sequence[Lease], worker: str) -> list[Lease]:
    """In an order of the worker's own, so that workers do not all try for the same lease first."""
    return sorted(leases, key=lambda lease: zlib.crc32(f"{worker}{lease.key}".encode()))
