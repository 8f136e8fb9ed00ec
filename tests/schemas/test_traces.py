"""What a traceparent is and what it is not, after W3C Trace Context."""

import pytest

from schemas.traces import read_traceparent, trace_id

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
VALID = f"00-{TRACE}-{SPAN}-01"


def test_a_traceparent_is_taken_as_it_is_and_names_its_trace() -> None:
    assert read_traceparent(VALID) == VALID
    assert trace_id(VALID) == TRACE


@pytest.mark.parametrize("header", [f"01-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-what-comes-then"])
def test_of_a_higher_version_the_part_is_kept_that_it_shares(header: str) -> None:
    assert read_traceparent(header) == VALID


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"01-{TRACE}-{SPAN}-01more",
        f"00-{TRACE}-{SPAN}-01\n",
        f" {VALID}",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"0\u0660-{TRACE}-{SPAN}-01",
    ],
)
def test_anything_else_is_none(header: str | None) -> None:
    assert read_traceparent(header) is None
