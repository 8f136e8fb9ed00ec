"""docs/api.md names every call and every reason, as the code has them.

UPDATE_DOCS=1 make test ARGS=tests/test_api.py
"""

import os
import re
from collections.abc import Iterable, Iterator
from inspect import cleandoc
from pathlib import Path

import pytest

from schemas.errors import TrackerError
from tracker.api import OPERATIONS
from tracker.openapi import ALWAYS, UNREAD

DOCUMENT = Path(__file__).resolve().parents[1] / "docs/api.md"

OF_ALL = {error.status for error in (*UNREAD, *ALWAYS)}
"""What any call may be answered."""


def calls() -> Iterator[str]:
    yield "| call | | answers |"
    yield "|---|---|---|"
    for each in OPERATIONS:
        admin = ", for the admin" if each.admin else ""
        statuses = {*each.answers, *(error.status for error in each.all_errors)} - OF_ALL
        told = ", ".join(map(str, sorted(statuses)))
        yield f"| `{each.method} {each.path}` | {each.summary}{admin} | {told} |"


def reasons() -> Iterator[str]:
    yield "| status | reason | meaning |"
    yield "|---|---|---|"
    told = {error for each in OPERATIONS for error in each.all_errors}
    for error in sorted(told, key=lambda error: (error.status, error.reason)):
        meaning = cleandoc(error.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
        yield f"| {error.status} | `{error.reason}` | {_of_clients(error, meaning)} |"


def _of_clients(error: type[TrackerError], meaning: str) -> str:
    return "A fault of ours; it has been logged." if error is TrackerError else meaning


@pytest.mark.parametrize(("table", "lines"), [("calls", calls()), ("reasons", reasons())])
def test_the_document_has_the_table_that_the_code_makes(table: str, lines: Iterable[str]) -> None:
    block = re.compile(rf"(?<=<!-- {table} -->\n).*?(?=<!-- end -->)", re.DOTALL)
    made = "".join(f"{line}\n" for line in lines)

    if os.environ.get("UPDATE_DOCS"):
        DOCUMENT.write_text(block.sub(lambda _: made, DOCUMENT.read_text(), count=1))

    (found,) = block.findall(DOCUMENT.read_text())
    assert found == made
