"""The ways to store events that are measured against one another."""

from typing import NamedTuple


class Case(NamedTuple):
    """A batch is `records` records of `frame` events each, of `programs` programs in turn."""

    name: str
    store: str
    programs: int = 10
    records: int = 40
    frame: int = 50
    batches: int = 10
    """In a round."""

    @property
    def events(self) -> int:
        """Of a batch."""
        return self.records * self.frame

    @property
    def is_naive(self) -> bool:
        return self.store == "naive"


CASES = (
    Case("naive, a PutItem each", "naive", records=100, frame=1, batches=5),
    Case("an item each", "items", batches=3),
    Case("packed, 10 programs", "packed"),
    Case("packed, 100 programs", "packed", programs=100),
)


def by_name(name: str) -> Case:
    (case,) = [each for each in CASES if each.name == name]
    return case
