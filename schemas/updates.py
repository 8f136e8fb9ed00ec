"""Updates: every change of core data, as one JSON message each on the update stream."""

import msgspec

from schemas.errors import UNREADABLE, UpdateError
from schemas.programs import Program, ProgramId, Totals, Version


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


Update = ProgramChanged | ProgramDeleted | ProgramTotals | CachePurged

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
