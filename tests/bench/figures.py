"""What the parts of a bench measured, kept as JSON, so that the page can be written again."""

from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from tests.bench.delays import Delays
from tests.bench.endurance import Memory
from tests.bench.growth import Growth
from tests.bench.held import Held
from tests.bench.persist import Stores
from tests.bench.steps import Steps
from tests.bench.tracker import Measured

Kind = TypeVar("Kind")
Weights = list[tuple[str, float]]
"""Of each part of a task, in MB: see tests.bench.weights."""


class Figures(NamedTuple):
    """By part; None where it was not measured, or failed."""

    tracker: Measured | None = None
    growth: Growth | None = None
    held: list[Held] | None = None
    endurance: list[Memory] | None = None
    steps: Steps | None = None
    weights: Weights | None = None
    delays: list[Delays] | None = None
    persist: Stores | None = None

    @property
    def missing(self) -> list[str]:
        return [name for name, figures in zip(self._fields, self, strict=True) if figures is None]


def keep(folder: Path, part: str, figures: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _path(folder, part).write_bytes(msgspec.json.format(msgspec.json.encode(figures)) + b"\n")


def forget(folder: Path, part: str) -> None:
    _path(folder, part).unlink(missing_ok=True)


def kept(folder: Path) -> Figures:
    return Figures(
        tracker=_read(folder, "tracker", Measured),
        growth=_read(folder, "growth", Growth),
        held=_read(folder, "held", list[Held]),
        endurance=_read(folder, "endurance", list[Memory]),
        steps=_read(folder, "steps", Steps),
        weights=_read(folder, "weights", Weights),
        delays=_read(folder, "delays", list[Delays]),
        persist=_read(folder, "persist", Stores),
    )


def _read(folder: Path, part: str, kind: type[Kind]) -> Kind | None:
    """What an older bench measured in other terms counts as not measured."""
    try:
        return msgspec.json.decode(_path(folder, part).read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.ValidationError):
        return None


def _path(folder: Path, part: str) -> Path:
    return folder / f"{part}.json"
