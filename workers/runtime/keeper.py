"""Keeps this worker's leases: renews them, takes and asks for more by the rules of leases.py."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from math import inf
from typing import NamedTuple
from uuid import uuid4

from schemas.errors import UnavailableError
from schemas.leases import Lease
from workers.runtime.lease_table import LeaseTable
from workers.runtime.leases import Watch, plan

log = logging.getLogger(__name__)


class Held(NamedTuple):
    """An acquisition, its lease as last renewed, and when that was, by this worker's monotonic clock."""

    token: str
    renewed_s: float
    lease: Lease


class Renewed(NamedTuple):
    """The keys of leases that are this worker's no more, and of those to hand over."""

    lost: list[str]
    wanted: list[str]


class Keeper:
    """The leases of one worker, whose name no other has, nor an earlier process of its own."""

    def __init__(
        self,
        table: LeaseTable,
        *,
        worker: str,
        failover_s: float,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.held: dict[str, Held] = {}
        self.next_s = inf
        """When the next lease will have stood still for long enough, as far as is known."""
        self._table = table
        self._worker = worker
        self._failover_s = failover_s
        self._clock_s = clock_s
        self._watch = Watch(failover_s)
        self._still: set[str] = set()

    async def renew(self) -> Renewed:
        """Renews each lease. One that was not for the failover time counts as lost: others may have it."""
        keys = list(self.held)
        leases = await asyncio.gather(*(self._renew(key) for key in keys))
        lost = [key for key, lease in zip(keys, leases, strict=True) if lease is None and key in self.held]
        for key in lost:
            del self.held[key]
        return Renewed(lost, [lease.key for lease in leases if lease is not None and lease.wanted_by])

    async def take(self, leases: Sequence[Lease]) -> list[Lease]:
        """Takes what is its share of these, and asks for what is. Returns what it has taken.

        What it may have taken without knowing, where no answer came, is free to it the next time.
        """
        seen = self._watch.look(leases, self._clock_s())
        for key in seen.still - self._still:
            log.debug("%s stands still", key)
        self._still, self.next_s = seen.still, seen.next_s
        planned = plan(leases, worker=self._worker, held=self.held, seen=seen)
        taken = await self._take_some([*planned.take, *planned.spare], len(planned.take))
        for lease in planned.ask:
            await self._ask(lease)
        return taken

    def leases(self) -> dict[str, Lease]:
        """Those it holds, by key, as of their last renewal."""
        return {key: held.lease for key, held in self.held.items()}

    def is_alive(self, key: str) -> bool:
        """Whether some worker was seen to change the lease."""
        return key in self._watch.moved

    async def release(self, key: str) -> None:
        """Lets go of a lease at once. Raises UnavailableError; others then wait the failover time."""
        if key in self.held:
            await self._table.release(key, self.held.pop(key).token)

    async def _renew(self, key: str) -> Lease | None:
        held, asked_s = self.held[key], self._clock_s()
        try:
            lease = await self._table.renew(key, held.token)
        except UnavailableError as error:
            log.warning("%s is not renewed: %s", key, error)
            return None if self._clock_s() - held.renewed_s >= self._failover_s else Lease(key=key)
        if lease is not None and key in self.held:
            self.held[key] = Held(held.token, asked_s, lease)
        return lease

    async def _take_some(self, leases: Sequence[Lease], most: int) -> list[Lease]:
        """Takes the first of these that it can, at once as many as are still to be had."""
        taken: list[Lease] = []
        while leases and len(taken) < most:
            some, leases = leases[: most - len(taken)], leases[most - len(taken) :]
            answers = await asyncio.gather(*(self._take(lease) for lease in some))
            taken += [lease for lease in answers if lease is not None]
        return taken

    async def _take(self, lease: Lease) -> Lease | None:
        token, asked_s = str(uuid4()), self._clock_s()
        try:
            taken = await self._table.take(lease, owner=self._worker, token=token)
        except UnavailableError as error:
            log.warning("%s may be taken or not: %s", lease.key, error)
            return None
        if taken is not None:
            self.held[lease.key] = Held(token, asked_s, taken)
        return taken

    async def _ask(self, lease: Lease) -> None:
        try:
            asked = await self._table.ask(lease, by=self._worker)
        except UnavailableError as error:
            log.warning("%s may be asked for or not: %s", lease.key, error)
        else:
            if asked:
                log.info("%s is asked of %s", lease.key, lease.owner)
