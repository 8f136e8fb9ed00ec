"""Child processes that never outlive this one."""

import asyncio
import ctypes
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1
"""prctl(2): the signal a process gets when the thread that started it ends, however it ends."""
READ_BYTES = 65_536


class Process:
    """A child in a session of its own, so that a terminal's Ctrl-C reaches only this process.

    On Linux the kernel kills it should this process be killed. Start it from the main thread.
    """

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child

    @classmethod
    async def start(
        cls, command: Sequence[str], *, environment: Mapping[str, str], directory: Path
    ) -> "Process":
        """Raises OSError where the command cannot be run."""
        child = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            env=environment,
            cwd=directory,
            start_new_session=True,
            preexec_fn=_death_pact(),
        )
        return cls(child)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def ended(self) -> bool:
        return self._child.returncode is not None

    async def run(self, write: Callable[[bytes], None]) -> int:
        """Hands all output to `write` until the process ends. Returns its exit status."""
        assert self._child.stdout is not None
        while data := await self._child.stdout.read(READ_BYTES):
            write(data)
        return await self._child.wait()

    def terminate(self) -> None:
        with suppress(ProcessLookupError):
            self._child.terminate()

    def kill(self) -> None:
        """Ends the process and whatever it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def describe(status: int) -> str:
    """An exit status in words: `was killed by SIGKILL`, `ended with exit code 1`."""
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with exit code {status}"


def _death_pact() -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def arm() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return arm
