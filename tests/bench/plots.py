"""Curves as small SVG files, the same for the same points."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

SIZE_INCHES = (5.0, 2.6)


def curve(path: Path, title: str, points: Sequence[tuple[float, float]], *, is_log: bool) -> None:
    """From zero up; `is_log` is about what goes to the right."""
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.subplots()
    axes.plot([x for x, _ in points], [y for _, y in points], marker="o")
    axes.set_title(title, fontsize=9)
    axes.set_ylim(bottom=0)
    if is_log:
        axes.set_xscale("log")
        axes.set_xticks([x for x, _ in points], [f"{x:,}" for x, _ in points], minor=False)
        axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.tick_params(labelsize=8)
    with matplotlib.rc_context({"svg.hashsalt": path.name, "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None})
