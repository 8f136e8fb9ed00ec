"""Programs: the core data of a campaign, its totals, and whether it still counts."""

import re
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from schemas.destinations import destination_problem, is_web_origin

MAX_SAFE_INTEGER = 2**53 - 1
"""Redis's Lua and JavaScript hold integers exactly only up to here."""

PROGRAM_ID_PATTERN = r"^[A-Za-z0-9_-]{1,64}\Z"

ProgramId = Annotated[str, Meta(pattern=PROGRAM_ID_PATTERN)]
Text = Annotated[str, Meta(max_length=256)]
Count = Annotated[int, Meta(ge=0, le=MAX_SAFE_INTEGER)]
Version = Count
"""Microseconds since the epoch, strictly increasing at one writer: the last writer wins by it."""
Privacy = Literal["full", "truncate", "anonymous"]
Acknowledgement = Literal["durable", "buffered"]
Url = Annotated[str, Meta(max_length=2048)]
Origin = Annotated[str, Meta(max_length=267)]
"""`https://`, a host of 253 characters, and a port."""
Origins = Annotated[tuple[Origin, ...], Meta(max_length=32)]
Days = Annotated[int, Meta(ge=1, le=3650)]
Rate = Annotated[int, Meta(ge=1, le=MAX_SAFE_INTEGER)]

_program_id = re.compile(PROGRAM_ID_PATTERN)


class InvalidReason(StrEnum):
    """Why an event of a known program does not count. The set only grows."""

    BAD_CHECKSUM = "bad_checksum"
    PROGRAM_INACTIVE = "program_inactive"
    PROGRAM_NOT_STARTED = "program_not_started"
    PROGRAM_EXPIRED = "program_expired"
    BUDGET_SPENT = "budget_spent"
    BOT = "bot"
    PREFETCH = "prefetch"
    FLOOD = "flood"


class ProgramFields(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a writer chooses about a program. Times are epoch milliseconds, `budget` counts events.

    A program counts events while `active` and starts_at_ms <= now < ends_at_ms. A click goes to its
    `destination`, or to its `fallback` while it does not count; both take macros (schemas.destinations).
    Pages of `origins` may send it events across origins; those of any origin when it is None.
    `ack` None leaves the acknowledgement to the task. Another `key_version` is another HMAC key, which
    is derived from a secret of the system and is nowhere in core data. Stored events live for
    `retention_days`, or for ever. Rates are events per second at each tracker task: of the program, and
    of one client address to it; None is no limit.
    """

    name: Text
    customer_id: Count
    customer_name: Text
    checksum: Annotated[str, Meta(max_length=128)]
    active: bool = True
    starts_at_ms: Count | None = None
    ends_at_ms: Count | None = None
    budget: Count | None = None
    destination: Url | None = None
    privacy: Privacy = "truncate"
    fallback: Url | None = None
    origins: Origins | None = None
    ack: Acknowledgement | None = None
    key_version: Count = 0
    retention_days: Days | None = None
    rate_per_s: Rate | None = None
    rate_per_address_per_s: Rate | None = None

    def __post_init__(self) -> None:
        if (
            self.starts_at_ms is not None
            and self.ends_at_ms is not None
            and self.starts_at_ms >= self.ends_at_ms
        ):
            raise ValueError("startsAtMs must be before endsAtMs")
        for name, url in (("destination", self.destination), ("fallback", self.fallback)):
            if url is not None and (problem := destination_problem(url)):
                raise ValueError(f"{name} {problem}")
        for origin in self.origins or ():
            if not is_web_origin(origin):
                raise ValueError(
                    f"origins has {origin!r}, which is no origin as browsers send it: https://shop.example"
                )


class PublicProgram(ProgramFields, frozen=True, kw_only=True, rename="camel"):
    """Core data as anyone may read it. What is not ProgramFields is set by the system, never by a writer.

    `version` grows with every change, `written_version` is that of the newest change of a writer: what was
    written by older code has none, and then it is `version`. The program is paused until
    `flooded_until_ms` (schemas/facts.py).
    """

    program_id: ProgramId
    version: Version
    budget_spent: bool = False
    written_version: Version | None = None
    flooded_until_ms: Count | None = None


class Program(PublicProgram, frozen=True, kw_only=True, rename="camel"):
    """Core data as stored and pushed: also which visitors are flagged, and until when."""

    flagged: dict[str, int] | None = None

    @property
    def public(self) -> PublicProgram:
        """Without visitors, who are nobody else's business."""
        return PublicProgram(**{name: getattr(self, name) for name in PublicProgram.__struct_fields__})


class Totals(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Distinct stored events of one program. Each number only grows."""

    views: Count = 0
    clicks: Count = 0
    conversions: Count = 0
    invalid: Count = 0

    @property
    def valid(self) -> int:
        """Events that count: what a budget is spent by."""
        return self.views + self.clicks + self.conversions

    @property
    def stored(self) -> int:
        """All distinct message ids, valid or not. Grows with every change, so it orders totals."""
        return self.valid + self.invalid

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(
            views=self.views + other.views,
            clicks=self.clicks + other.clicks,
            conversions=self.conversions + other.conversions,
            invalid=self.invalid + other.invalid,
        )

    def __sub__(self, other: "Totals") -> "Totals":
        """The difference, to add to other totals: its numbers may be negative."""
        return Totals(
            views=self.views - other.views,
            clicks=self.clicks - other.clicks,
            conversions=self.conversions - other.conversions,
            invalid=self.invalid - other.invalid,
        )

    def at_least(self, other: "Totals") -> "Totals":
        """The larger of each number."""
        return Totals(
            views=max(self.views, other.views),
            clicks=max(self.clicks, other.clicks),
            conversions=max(self.conversions, other.conversions),
            invalid=max(self.invalid, other.invalid),
        )


class Versions:
    """Issues versions: microseconds of the wall clock, never the same or a smaller one twice."""

    def __init__(self, clock_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._clock_us = clock_us
        self._last = 0

    def next(self, after: int = 0) -> int:
        """A version greater than every earlier one and than `after` (a version already seen)."""
        self._last = max(self._clock_us(), self._last + 1, after + 1)
        return self._last


def is_program_id(text: str) -> bool:
    """Whether a program can have this id at all."""
    return _program_id.match(text) is not None


def invalid_reason(program: Program, *, checksum: str | None, now_ms: int) -> InvalidReason | None:
    """Why an event arriving `now_ms` for `program` does not count; None when it does.

    A checksum is compared only when the client gave one.
    """
    if checksum is not None and checksum != program.checksum:
        return InvalidReason.BAD_CHECKSUM
    if not program.active:
        return InvalidReason.PROGRAM_INACTIVE
    if program.starts_at_ms is not None and now_ms < program.starts_at_ms:
        return InvalidReason.PROGRAM_NOT_STARTED
    if program.ends_at_ms is not None and now_ms >= program.ends_at_ms:
        return InvalidReason.PROGRAM_EXPIRED
    if program.budget_spent:
        return InvalidReason.BUDGET_SPENT
    return None
