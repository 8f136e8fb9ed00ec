"""`python -m tests.bench.weights`: what a task's memory is made of before it has seen a request.

Each part on top of those before it: what two of them share counts for the first. So this module imports
next to nothing itself.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from importlib import import_module

from tests.bench.usage import own_rss_mb

REGION = "us-east-1"


def weigh() -> Iterator[tuple[str, float]]:
    """Each part, in MB."""
    before_mb, kept = 0.0, []
    for name, load in _parts().items():
        kept.append(load())
        after_mb = own_rss_mb()
        yield name, after_mb - before_mb
        before_mb = after_mb


def _parts() -> dict[str, Callable[[], object]]:
    return {
        "Python": object,
        "Sanic": partial(import_module, "sanic"),
        "Redis's client": partial(import_module, "redis.asyncio"),
        "AWS's SDK": partial(import_module, "aiobotocore.session"),
        "the tracker and what else it imports": partial(import_module, "tracker.__main__"),
        "the lists of user agents": _user_agents,
        "what the SDK reads of Kinesis and DynamoDB": _clients,
    }


def _user_agents() -> object:
    from tracker.user_agents import UserAgents

    return UserAgents(remembered=1)


def _clients() -> object:
    """And what the start alone took is given back, as a task does."""
    from tracker.memory import give_back

    clients = asyncio.run(_opened())
    give_back()
    return clients


async def _opened() -> object:
    from tracker.sdk import lean_session
    from tracker.services import AWS_SERVICES

    session = lean_session(AWS_SERVICES)
    async with AsyncExitStack() as stack:
        for service in AWS_SERVICES:
            await stack.enter_async_context(session.create_client(service, region_name=REGION))
    return session


if __name__ == "__main__":
    print(json.dumps(list(weigh())))
