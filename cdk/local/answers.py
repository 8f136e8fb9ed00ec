"""What a tracker's answer says of the events that were sent: which are to be sent again, and which not."""

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Struct

from schemas.errors import UNREADABLE, TrackerError

OK = 200
TEMPORARY = (408, 429)
"""Beside those of 500 and more, which a load balancer gives, too."""
DETAIL_MAX_CHARS = 200


class Failure(Struct, frozen=True):
    """An event that was not acknowledged, by its place in the request. Sending it again is of use only
    if it is not `final`. The reason of an answer that is not a tracker's is empty."""

    index: int
    reason: str
    detail: str
    final: bool


class _Error(Struct):
    index: int
    reason: str
    detail: str


class _Answer(Struct):
    """Of a batch. A tracker that takes nothing answers with a problem instead, which has no `errors`."""

    errors: list[_Error] | None = None
    reason: str = ""
    detail: str = ""


_decoder = msgspec.json.Decoder(_Answer)


def failures(status: int, body: bytes, events: int) -> Sequence[Failure]:
    """What the answer to a request of so many events does not acknowledge."""
    if status == OK and events == 1:
        return ()
    answer = _decoded(body)
    if answer.errors is not None:
        return [
            Failure(error.index, error.reason, error.detail, error.reason not in TEMPORARY_REASONS)
            for error in answer.errors
        ]
    final = status < 500 and status not in TEMPORARY
    return [Failure(index, answer.reason, answer.detail, final) for index in range(events)]


def _decoded(body: bytes) -> _Answer:
    try:
        return _decoder.decode(body)
    except UNREADABLE:
        return _Answer(detail=body[:DETAIL_MAX_CHARS].decode(errors="replace"))


def _reasons(kind: type[TrackerError]) -> Iterator[str]:
    if kind.retry_after_s is not None:
        yield kind.reason
    for each in kind.__subclasses__():
        yield from _reasons(each)


TEMPORARY_REASONS = frozenset(_reasons(TrackerError))
