"""AWS clients. Endpoints and credentials come from the environment variables the SDK reads itself."""

from contextlib import AbstractAsyncContextManager
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

CONNECT_TIMEOUT_S = 2
READ_TIMEOUT_S = 10
"""A full GetRecords reply is 10 MiB."""
POOL_CONNECTIONS = 100
"""One for each shard read at a time; more shards than this take turns."""


def aws_client(service: str, *, region: str, attempts: int = 1) -> AbstractAsyncContextManager[Any]:
    """A client that tries each call `attempts` times. Whoever has a backoff of its own asks for 1."""
    config = AioConfig(
        region_name=region,
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        max_pool_connections=POOL_CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": attempts},
    )
    client: AbstractAsyncContextManager[Any] = get_session().create_client(service, config=config)
    return client
