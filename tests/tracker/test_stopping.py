"""A task that is told to stop as soon as it serves."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import httpx
import pytest

from cdk.local.ports import free_ports
from tests.cdk.test_images import SETTINGS
from tests.system.conftest import ROOT, STOP_TIMEOUT_S, until

START_TIMEOUT_S = 30


@pytest.mark.parametrize("delay_ms", [0, 10, 50, 100])
def test_a_task_that_has_just_begun_to_serve_stops_when_it_is_told_to(delay_ms: int) -> None:
    (port,) = free_ports(1)
    environment = os.environ | SETTINGS | {"PORT": str(port)}
    with subprocess.Popen([sys.executable, "-m", "tracker"], cwd=ROOT, env=environment) as task:
        try:
            until(lambda: _answers(port), timeout_s=START_TIMEOUT_S)
            time.sleep(delay_ms / 1000)
            task.terminate()
            assert task.wait(STOP_TIMEOUT_S) in (0, -signal.SIGTERM)
        finally:
            task.kill()


def _answers(port: int) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/health/live").is_success
    return False
