import asyncio

from tests.properties.leaping import LeapingLoop
from tracker.confirmations import Confirmation, settled

TIMEOUT_S = 5.0


async def _run() -> None:
    loop = asyncio.get_running_loop()
    early, confirmed, failed, late = (Confirmation() for _ in range(4))
    early.set_result(None)
    loop.call_later(1, confirmed.set_result, None)
    loop.call_later(2, failed.set_exception, ValueError())
    began_s = loop.time()

    await settled([early, confirmed, failed], timeout_s=TIMEOUT_S)
    assert 2 <= loop.time() - began_s < TIMEOUT_S
    await settled([early, late], timeout_s=TIMEOUT_S)
    late.set_result(None)

    assert all(each.done() for each in (early, confirmed, failed, late))
    assert [each.cancelled() for each in (early, confirmed, failed, late)] == [False, False, False, True]
    assert [type(each.error) for each in (early, confirmed, failed)] == [type(None), type(None), ValueError]


def test_all_are_waited_for_and_who_is_late_is_given_up() -> None:
    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        runner.run(_run())
