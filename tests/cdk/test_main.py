"""`python -m cdk.local` as its users start it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cdk.local.ports import HOST
from cdk.local.stack import ROOT

TIMEOUT_S = 60


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "cdk.local", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("run", "--run-dir", str(tmp_path), "--port", str(port))

    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"Port {port} is in use.")


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "http"), ("TRACKER_ACK", "sometimes"), ("LOG_LEVEL", "LOUD")]
)
def test_a_bad_setting_is_one_clear_line(tmp_path: Path, name: str, value: str) -> None:
    ended = run("run", "--run-dir", str(tmp_path), **({"PORT": "0"} | {name: value}))

    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"{name}={value!r}")
