"""What the person at the terminal sees: one calm line at a time."""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

LOUD = re.compile(r"\b(WARNING|ERROR|CRITICAL)\b")
LINE_MAX_BYTES = 65_536
LINES_PER_WINDOW = 2
WINDOW_S = 10.0


Say = Callable[[str], None]
"""Takes one whole line for the terminal."""


def say(line: str) -> None:
    """Prints a line at once. A terminal that is gone is no reason to leave processes behind."""
    with suppress(OSError, ValueError):
        print(line, flush=True)


class Output:
    """What one part prints: all of it goes to its log, the loud lines also to the console.

    Not more than LINES_PER_WINDOW in WINDOW_S, so that an outage does not flood the terminal.
    """

    def __init__(
        self,
        name: str,
        log: Path,
        *,
        say: Say,
        quiet: bool = False,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.log = log
        self.last_line = ""
        self._name = name
        self._file: BinaryIO = log.open("wb", buffering=0)
        self._rest = b""
        self._say = say
        self._quiet = quiet
        self._clock_s = clock_s
        self._window_end_s = 0.0
        self._said = 0

    def write(self, data: bytes) -> None:
        """Takes output as it comes, in pieces of any size."""
        self._file.write(data)
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-LINE_MAX_BYTES:]
        for line in lines:
            self._see(line.decode(errors="replace").rstrip())

    def close(self) -> None:
        self._file.close()

    def _see(self, line: str) -> None:
        if not line:
            return
        self.last_line = line
        if not self._quiet and LOUD.search(line):
            self._pass_on(line)

    def _pass_on(self, line: str) -> None:
        now_s = self._clock_s()
        if now_s >= self._window_end_s:
            self._window_end_s, self._said = now_s + WINDOW_S, 0
        self._said += 1
        if self._said < LINES_PER_WINDOW:
            self._say(f"{self._name}: {line}")
        elif self._said == LINES_PER_WINDOW:
            self._say(f"{self._name}: {line} (and more, see {self.log})")
