"""MiniStack, with its Kinesis made cheap enough for many readers that wait.

Each read leaves an iterator behind for five minutes, as on AWS, and each call looks at all of them: over
minutes, a stack that merely waits for events would take a core. Here they live for seconds; a reader asks
for a new one where its own has expired, here as there. And each read looks through all records of its
stream for those past their retention of a day: here that is done once a minute.
"""

import time
from collections.abc import Callable
from typing import Any

from ministack.app import main
from ministack.services import kinesis

ITERATOR_EXPIRY_S = 20
EXPIRE_RECORDS_EVERY_S = 60.0


def seldom(work: Callable[[Any], None], *, every_s: float) -> Callable[[Any], None]:
    """`work`, done at most once in so long, whatever it is asked to do it for."""
    due_s = time.monotonic() + every_s

    def perhaps(subject: Any) -> None:
        nonlocal due_s
        if time.monotonic() >= due_s:
            due_s = time.monotonic() + every_s
            work(subject)

    return perhaps


if __name__ == "__main__":
    kinesis.ITERATOR_EXPIRY_SECONDS = ITERATOR_EXPIRY_S
    kinesis._expire_records = seldom(kinesis._expire_records, every_s=EXPIRE_RECORDS_EVERY_S)
    main()
