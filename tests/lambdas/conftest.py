"""Fixtures of the Lambdas' tests."""

from collections.abc import Iterator

import pytest
from redis import Redis

from tests.lambdas.cloud import Cloud, created
from tests.lambdas.world import Shard, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def shard() -> Shard:
    return Shard()


@pytest.fixture
def cloud(ministack: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Tables, streams and a bucket of this test's own, and the environment that leads to them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack)
    cloud = created()
    for name, value in cloud.environment.items():
        monkeypatch.setenv(name, value)
    yield cloud
    cloud.close()


@pytest.fixture
def redis(valkey: str) -> Iterator[Redis]:
    """A Redis that nothing is in yet."""
    with Redis.from_url(valkey) as client:
        client.flushall()
        yield client
