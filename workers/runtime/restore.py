"""Loads an agent's tables: those of its shard, or, on a shard's first day, those of its parents."""

from collections.abc import Sequence
from typing import Any

from schemas.leases import Entry, Lease
from workers.runtime.agents import Agent
from workers.runtime.source import Shard
from workers.runtime.state import State
from workers.runtime.state_table import StateTable
from workers.runtime.table import routing_key


async def restore(
    agent: Agent[Any],
    state: State,
    table: StateTable,
    *,
    shard: Shard,
    lease: Lease,
    parents: Sequence[Lease],
) -> None:
    """Fills `state` with what was committed last. Raises UnavailableError, or AgentError from a merge.

    A lease that nothing was ever committed under inherits: of each parent the entries whose keys its
    shard covers, to be committed as its own.
    """
    for entry in await table.read(lease.key):
        _take_over(state, entry, lease.epoch)
    state.advance(lease.watermark_ms)
    if lease.epoch == 0:
        for parent in parents:
            for entry in await table.read(parent.key):
                if shard.covers(agent.topic.hash_of(routing_key(entry.key))):
                    _inherit(agent, state, entry, parent.epoch)
        state.advance(min((parent.watermark_ms for parent in parents), default=0))
    state.keep()


def _take_over(state: State, entry: Entry, epoch: int) -> None:
    entries = state.tables.get(entry.table)
    if entries is None:
        return
    value = entry.as_of(epoch)
    entries.load(entry.key, value)
    if value is None or entry.epoch > epoch:
        entries.rewrite(entry.key)


def _inherit(agent: Agent[Any], state: State, entry: Entry, epoch: int) -> None:
    entries, value = state.tables.get(entry.table), entry.as_of(epoch)
    if entries is None or value is None:
        return
    held = entries.get(entry.key)
    entries.put(entry.key, value if held is None else agent.tables[entry.table].merged(held, value))
