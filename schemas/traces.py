"""Trace contexts: which trace of somebody's tracing system a request belongs to (W3C Trace Context).

A `traceparent` names the trace and the span that the request was sent in. It goes with the event, through the
stream into the logs of whoever works on it, and into the record of its failure. We make none up: a request
without one belongs to no trace, and its message id finds it as well.
"""

import re

_TRACEPARENT = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})"
    r"-(?P<kept>(?P<trace>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2})"
    r"(?P<more>-.*)?"
)
VERSION = "00"


def read_traceparent(header: str | None) -> str | None:
    """The header as version 00 has it, and None where it is none or breaks the grammar (W3C Trace Context,
    3.2.2). Of a higher version the part is kept that it must share with ours (4.3.2)."""
    found = _TRACEPARENT.fullmatch(header) if header else None
    if found is None or (found["version"] == VERSION and found["more"]):
        return None
    return f"{VERSION}-{found['kept']}"


def trace_id(traceparent: str) -> str:
    """The trace that a valid `traceparent` names."""
    return traceparent.split("-")[1]
