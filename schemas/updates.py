"""Updates: every change of core data, as one JSON message each on the update stream."""

from typing import Literal
from uuid import UUID

import msgspec

from schemas.errors import UNREADABLE, UpdateError
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


Update = ProgramChanged | ProgramDeleted | ProgramTotals | CachePurged | ConversionMatched

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
