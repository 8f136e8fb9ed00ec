"""Clients that did not hear that their events were taken."""

import asyncio

from tests.faults.ordeal import Ordeal
from tests.faults.stores import in_both_stores

AGAIN_AFTER_S = 3.0
"""Past the batch that the event was stored in, and within RESEND_WINDOW_S."""
TIMES = 3


@in_both_stores
async def test_acknowledged_events_are_sent_again(ordeal: Ordeal) -> None:
    """Every event is sent twice.

    3 s after its acknowledgement each event is sent again with the same message id, and acknowledged again.
    Three times meanwhile the persist host gets SIGKILL: what it knew of events is gone, the store knows.
    """
    async with ordeal.under_load(again_after_s=AGAIN_AFTER_S) as load:
        for _ in range(TIMES):
            await asyncio.sleep(AGAIN_AFTER_S)
            await ordeal.system.kill_and_wait("persist")
    copies = ordeal.system.witness.copies
    assert all(copies[each.message_id] >= 2 for each in load.acknowledged)
