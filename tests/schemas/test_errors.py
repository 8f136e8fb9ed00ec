import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from schemas import errors
from schemas.errors import (
    NotConfiguredError,
    PoisonError,
    RateLimitedError,
    RequestError,
    SettingsError,
    TrackerError,
    UnavailableError,
)

LINE = re.compile(r"^(?P<indent>[│├└─ ]*)(?P<name>\w+Error) +(?P<status>\d{3})  (?P<reason>\w+)")
INDENT = 4


class Drawn(NamedTuple):
    """One class of the drawing."""

    name: str
    parent: str
    status: int
    reason: str


def drawing() -> Iterator[Drawn]:
    """The classes of the module docstring, each with the one it hangs from."""
    ancestors: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := LINE.match(line):
            depth = len(found["indent"]) // INDENT
            parent = ancestors[depth - 1] if depth else "Exception"
            ancestors[depth:] = [found["name"]]
            yield Drawn(found["name"], parent, int(found["status"]), found["reason"])


def tree(root: type[TrackerError] = TrackerError) -> Iterator[type[TrackerError]]:
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


def declared() -> list[type[TrackerError]]:
    return [kind for kind in tree() if kind.__module__ == errors.__name__]


def test_the_drawing_shows_every_class_with_its_parent_status_and_reason() -> None:
    actual = {
        Drawn(kind.__name__, kind.__bases__[0].__name__, kind.status, kind.reason) for kind in declared()
    }

    assert set(drawing()) == actual


def test_every_class_of_the_product_is_declared_in_the_one_tree() -> None:
    assert len(list(drawing())) == len(declared()) > 15


def test_reasons_are_unique() -> None:
    reasons = [kind.reason for kind in declared()]

    assert len(reasons) == len(set(reasons))
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", reason) for reason in reasons)


@pytest.mark.parametrize("kind", declared())
def test_every_class_names_its_own_reason_and_says_what_it_means(kind: type[TrackerError]) -> None:
    assert "reason" in vars(kind)
    assert kind.__doc__
    assert kind.__name__.endswith("Error")


@pytest.mark.parametrize("kind", declared())
def test_the_status_fits_the_branch(kind: type[TrackerError]) -> None:
    if issubclass(kind, RequestError):
        assert 400 <= kind.status < 500
    elif issubclass(kind, UnavailableError):
        assert kind.status == 503
        assert kind.retry_after_s == 1
    elif kind is RateLimitedError:
        assert (kind.status, kind.retry_after_s) == (429, 1)
    elif kind is NotConfiguredError:
        assert kind.status == 501
    else:
        assert kind.status == 500


def test_an_outage_is_never_not_found() -> None:
    assert not issubclass(UnavailableError, RequestError)
    assert all(kind.status != 404 for kind in tree(UnavailableError))
    assert all(kind.status != 404 for kind in (*tree(PoisonError), *tree(SettingsError)))
