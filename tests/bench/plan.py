"""How much is measured: rounds and their length, samples, how far curves go."""

import msgspec


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Of every part; a part takes of it what concerns it."""

    rounds: int = 5
    """Of each case, in turn; medians are told."""
    seconds: float = 1.2
    """Of each round."""
    sink_ms: int = 5
    """What Kinesis takes to confirm."""
    only: str = ""
    """Cases whose names have this in them, beside the bare route."""
    rate: float | None = None
    """Of the steady load, in requests per second, in the place of a share of the most."""
    held: int = 1_000_000
    """Programs in memory, at most."""
    events: int = 2_000_000
    """That a task takes while its memory is watched."""
    samples: int = 40
    """Of what takes long to be known elsewhere, one after the other, at each rate."""
    changes: int = 200
    """Of core data, at each rate."""


QUICK = Plan(rounds=2, seconds=0.4, held=100_000, events=200_000, samples=5, changes=40)
