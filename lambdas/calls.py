"""How the Lambdas call AWS: bounded in time, several at once, again for what a call leaves over."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

from botocore.config import Config
from botocore.session import Session

IN_FLIGHT = 8
CONNECTIONS = 8 * IN_FLIGHT
"""Of one client: a host on this machine invokes the function for several shards at once."""
RETRY_PAUSES_S = (0.05, 0.2, 0.8)
CONFIG = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=CONNECTIONS,
    tcp_keepalive=True,
    parameter_validation=False,
)
"""An outage is answered within seconds: the event source mapping, not the SDK, does the waiting.
The SDK's own check of parameters costs a quarter of the CPU time of an insert, and mypy has checked them."""

T = TypeVar("T")
Answered = TypeVar("Answered")


def aws_client(service: str, region: str) -> Any:
    """A low-level client, safe to share between threads. Its endpoint comes from AWS_ENDPOINT_URL.

    To be called by one thread at a time. The client is what boto3.client gives; what boto3 imports besides,
    resources and transfers, would only lengthen the cold start.
    """
    return _session().create_client(service, region_name=region, config=CONFIG)


def aws_credentials() -> Any:
    """The SDK's, which renews them where they expire. None where there are none."""
    return _session().get_credentials()


def in_flight(call: Callable[[T], Answered], items: Sequence[T]) -> Iterator[Answered]:
    """`call(item)` for each item, IN_FLIGHT at a time; answers come in the order of the items.

    When a call raises, this raises in its place: calls not yet begun never are, and those in flight
    have ended.
    """
    if len(items) < 2:
        yield from map(call, items)
        return
    with ThreadPoolExecutor(min(IN_FLIGHT, len(items))) as pool:
        yield from pool.map(call, items)


def until_done(call: Callable[[list[T]], list[T]], items: list[T], pauses_s: Sequence[float]) -> list[T]:
    """Calls again with what each call leaves over, after each pause. Returns what is left at the end.

    Pauses are jittered, so that clients that failed together do not come back together.
    """
    left = call(items)
    for pause_s in pauses_s:
        if not left:
            break
        time.sleep(random.uniform(pause_s / 2, pause_s))
        left = call(left)
    return left


def chunks(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """The items in their order, at most `size` in each chunk."""
    return [items[start : start + size] for start in range(0, len(items), size)]


@cache
def _session() -> Session:
    return Session()
