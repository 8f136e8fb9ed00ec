"""What the system says that a process has used (proc(5))."""

from pathlib import Path
from typing import NamedTuple


class Usage(NamedTuple):
    """Since the process started, and now."""

    cpu_s: float
    rss_mb: float


def usage(pid: int) -> Usage:
    """The CPU time of all its threads, to the nanosecond, and its memory."""
    process = Path("/proc") / str(pid)
    run_ns = sum(int((task / "schedstat").read_text().split()[0]) for task in (process / "task").iterdir())
    return Usage(run_ns / 1e9, _rss_mb(process))


def own_rss_mb() -> float:
    """The memory of this process."""
    return _rss_mb(Path("/proc/self"))


def _rss_mb(process: Path) -> float:
    lines = (process / "status").read_text().splitlines()
    (kilobytes,) = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
    return int(kilobytes) / 1024
