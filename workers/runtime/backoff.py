"""How long to wait before trying again."""

import random
from collections.abc import Iterator


def backoff_s(*, first_s: float, most_s: float) -> Iterator[float]:
    """Endless waits in seconds: exponential with full jitter, never under a tenth of the ceiling.

    Full jitter spreads clients that failed together (AWS Architecture Blog, "Exponential Backoff
    And Jitter").
    """
    ceiling = min(first_s, most_s)
    while True:
        yield random.uniform(ceiling / 10, ceiling)
        ceiling = min(ceiling * 2, most_s)
