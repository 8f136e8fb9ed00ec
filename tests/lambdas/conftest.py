"""Fixtures of the Lambdas' tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.lambdas.cloud import Cloud, created
from tests.lambdas.runtime import Runtime, make_layer
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


@pytest.fixture
def runtime(cloud: Cloud, ministack: str, valkey: str, tmp_path: Path) -> Runtime:
    """What executes a function's bundle, and the environment that leads to this test's resources."""
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    places = {"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": ministack, "REDIS_URL": valkey}
    return Runtime(make_layer(tmp_path), cloud.environment | credentials | places)
