"""The pulse: how late this task's event loop runs what is due. Whatever blocks it is in every latency."""

import asyncio

from schemas.metrics import LOOP_LAG, Histogram

BEAT_S = 0.25


class Pulse:
    """Asks to be woken and looks when it is."""

    def __init__(self) -> None:
        self.lags = Histogram(LOOP_LAG)

    async def run(self) -> None:
        """Beats until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + BEAT_S
            await asyncio.sleep(BEAT_S)
            self.lags.observe(max(0.0, loop.time() - due_s))
