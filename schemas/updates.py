"""Updates: every change of core data, as one JSON message each on the update stream.

Writers change a program, and the last of them wins by its version. What the system itself finds out is a
fact (schemas/facts.py) and has none. A message that a reader does not know is poison to it: so `refresh` is
upgraded before whoever sends a new one.
"""

from typing import Literal
from uuid import UUID

import msgspec

from schemas.errors import UNREADABLE, UpdateError
from schemas.facts import Visitor
from schemas.health import Lag
from schemas.programs import Count, Program, ProgramId, Totals, Version

MatchedBy = Literal["click_id", "visitor"]


class ProgramChanged(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag="program_changed"):
    """The program is now this, unless something with a newer version is known."""

    program: Program

    @property
    def key(self) -> str:
        return self.program.program_id


class ProgramDeleted(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag="program_deleted"):
    """The program is gone as of `version`. A tombstone stays, so that nothing older revives it."""

    program_id: ProgramId
    version: Version

    @property
    def key(self) -> str:
        return self.program_id


class ProgramTotals(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag="program_totals"):
    """What is stored for the program so far: absolute numbers, so repetition is harmless."""

    program_id: ProgramId
    totals: Totals

    @property
    def key(self) -> str:
        return self.program_id


class BudgetReached(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag="budget_reached"):
    """A fact: so many valid events of the program are stored, at least."""

    program_id: ProgramId
    counted: Count

    @property
    def key(self) -> str:
        return self.program_id


class VisitorFlagged(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag="visitor_flagged"):
    """A fact: the visitor floods the program, with so many `clicks` in a window, and its events do not count
    before `until_ms` (epoch milliseconds)."""

    program_id: ProgramId
    visitor: Visitor
    until_ms: Count
    clicks: Count

    @property
    def key(self) -> str:
        return self.program_id


class CachePurged(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag="cache_purged"):
    """Empty Redis's program keys and every tracker's memory. `version` tells one purge from another."""

    version: Version

    @property
    def key(self) -> str:
        return "purge"


class ConversionMatched(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, tag="conversion_matched"
):
    """The click that a conversion is due to, by the message ids of both. It may be told again, and where a
    later click becomes known, told anew: of one conversion the latest click holds.

    `by` says what the two have in common. Whoever keeps it forgets it at the epoch second `expires_at_s`.
    """

    program_id: ProgramId
    conversion: UUID
    converted_at_ms: Count
    click: UUID
    clicked_at_ms: Count
    by: MatchedBy
    expires_at_s: Count | None = None

    @property
    def key(self) -> str:
        return self.program_id


class FunctionReported(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag="function_reported"):
    """How far behind a function is that does not reach Redis itself. The next one says all of it again."""

    lag: Lag

    @property
    def key(self) -> str:
        return f"{self.lag.reader}/{self.lag.shard_id}"


CoreDataUpdate = ProgramChanged | ProgramDeleted | BudgetReached | VisitorFlagged
"""What changes the item of a program."""

Update = CoreDataUpdate | ProgramTotals | CachePurged | ConversionMatched | FunctionReported

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Update] = msgspec.json.Decoder(Update)


def encode_update(update: Update) -> bytes:
    """One update as JSON. Its partition key on the stream is `update.key`: order per program."""
    return _encoder.encode(update)


def decode_update(data: bytes) -> Update:
    """The update in one record. Raises UpdateError for anything else, an unknown type included."""
    try:
        return _decoder.decode(data)
    except UNREADABLE as error:
        raise UpdateError(str(error)) from error
