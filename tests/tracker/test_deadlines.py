import asyncio

from schemas.errors import NotAcknowledgedError, TrackerError
from tests.properties.leaping import LeapingLoop
from tracker.deadlines import LOOKS, Deadlines

TIMEOUT_S = 5.0


async def _ended(watched: "asyncio.Future[None]") -> tuple[float, BaseException | None]:
    await asyncio.wait([watched])
    return asyncio.get_running_loop().time(), watched.exception()


async def _run() -> None:
    loop = asyncio.get_running_loop()
    deadlines = Deadlines(TIMEOUT_S, clock_s=loop.time)
    began_s, futures = loop.time(), [loop.create_future() for _ in range(3)]
    for future in futures:
        deadlines.watch(future)
        await asyncio.sleep(1)
    futures[1].set_result(None)

    first_s, late = await _ended(futures[0])
    third_s, later = await _ended(futures[2])

    assert isinstance(late, NotAcknowledgedError) and isinstance(later, TrackerError)
    assert futures[1].exception() is None
    for number, ended_s in ((0, first_s), (2, third_s)):
        assert 0 <= ended_s - began_s - number - TIMEOUT_S <= 2 * TIMEOUT_S / LOOKS


def test_who_waits_too_long_is_told_and_nobody_else() -> None:
    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        runner.run(_run())
