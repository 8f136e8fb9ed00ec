"""Parts of a bench, each in a process of its own: one that fails or hangs takes no other with it."""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress

TIMEOUT_S = 540
END_TIMEOUT_S = 30


def run_part(
    command: Sequence[str], *, timeout_s: float = TIMEOUT_S, end_timeout_s: float = END_TIMEOUT_S
) -> str | None:
    """Why it failed; None where it did not. What it started ends with it."""
    process = subprocess.Popen(command, start_new_session=True)
    try:
        status = process.wait(timeout_s)
        return f"it ended with status {status}" if status else None
    except subprocess.TimeoutExpired:
        return f"it took longer than {timeout_s:g} s"
    finally:
        _end(process, end_timeout_s)


def _end(process: "subprocess.Popen[bytes]", timeout_s: float) -> None:
    """As Ctrl-C does, so that it ends what it has started; then its whole group."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout_s)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
