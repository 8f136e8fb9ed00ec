"""Loads an agent's tables: those of its shard, or, on a shard's first day, those of its parents."""

from collections.abc import Sequence
from typing import Any

from schemas.leases import Lease
from workers.runtime.agents import Agent
from workers.runtime.log import Tables
from workers.runtime.source import Shard
from workers.runtime.state import State
from workers.runtime.state_table import StateTable
from workers.runtime.table import Entries, routing_key


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
    await table.load(state.tables)
    state.advance(lease.watermark_ms)
    if lease.epoch == 0:
        for parent in parents:
            left = {name: Entries() for name in state.tables}
            await table.load_from(parent, left)
            _inherit(agent, state, left, shard)
        state.advance(min((parent.watermark_ms for parent in parents), default=0))
    state.keep()


def _inherit(agent: Agent[Any], state: State, left: Tables, shard: Shard) -> None:
    for name, entries in state.tables.items():
        for key in left[name]:
            value, held = left[name].get(key), entries.get(key)
            if value is not None and shard.covers(agent.topic.hash_of(routing_key(key))):
                entries.put(key, value if held is None else agent.tables[name].merged(held, value))
