"""What the system says that a process has used (proc(5))."""

import os
from pathlib import Path
from typing import NamedTuple

_STIME = 12
"""The field's place after the process's name."""


class Usage(NamedTuple):
    """Since the process started, and now."""

    cpu_s: float
    rss_mb: float
    system_s: float
    """Of it, what the system's own code ran for it; to the clock's tick."""


def usage(pid: int) -> Usage:
    """The CPU time of all its threads, to the nanosecond, and its memory."""
    process = Path("/proc") / str(pid)
    run_ns = sum(int((task / "schedstat").read_text().split()[0]) for task in (process / "task").iterdir())
    return Usage(run_ns / 1e9, _rss_mb(process), _system_s(process))


def own_rss_mb() -> float:
    """The memory of this process."""
    return _rss_mb(Path("/proc/self"))


def _system_s(process: Path) -> float:
    after_name = (process / "stat").read_text().rpartition(")")[2].split()
    return int(after_name[_STIME]) / os.sysconf("SC_CLK_TCK")


def _rss_mb(process: Path) -> float:
    lines = (process / "status").read_text().splitlines()
    (kilobytes,) = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
    return int(kilobytes) / 1024
