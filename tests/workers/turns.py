"""Whether the owners of a shard took turns: what the commits on it say."""

from collections.abc import Mapping, Sequence
from itertools import groupby

Commit = tuple[int, str]
"""An epoch, and the token of the acquisition that committed it."""


def intruded(commits: Mapping[str, Sequence[Commit]]) -> list[str]:
    """The leases on which two acquisitions committed in between one another, or an epoch was committed twice.

    Epochs number the commits of a lease in the order in which they were applied; some may be missing, where
    a worker ended before it could say that it had committed.
    """
    return [key for key, some in commits.items() if _is_intruded(sorted(some))]


def _is_intruded(commits: Sequence[Commit]) -> bool:
    epochs = [epoch for epoch, _ in commits]
    turns = [token for token, _ in groupby(token for _, token in commits)]
    return len(epochs) > len(set(epochs)) or len(turns) > len(set(turns))
