"""How many puts a tracker has made, and of how many events, by what it says of itself at `/metrics`."""

from urllib.error import HTTPError
from urllib.request import urlopen

import msgspec

from schemas.metrics import FRAME_EVENTS

TIMEOUT_S = 10


class Puts(msgspec.Struct, frozen=True):
    """Since the task started, or between two looks."""

    puts: float
    events: float

    def __sub__(self, before: "Puts") -> "Puts":
        return Puts(self.puts - before.puts, self.events - before.events)


def read_puts(port: int) -> Puts | None:
    """None where something else than a tracker serves."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=TIMEOUT_S) as answer:
            lines: list[str] = answer.read().decode().splitlines()
    except HTTPError as error:
        error.close()
        return None
    return Puts(_value(lines, "count"), _value(lines, "sum"))


def _value(lines: list[str], suffix: str) -> float:
    (line,) = [line for line in lines if line.startswith(f"{FRAME_EVENTS.name}_{suffix} ")]
    return float(line.split()[1])
