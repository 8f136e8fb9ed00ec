"""Valid messages for tests; each factory takes any field as a keyword."""

from random import getrandbits
from typing import Any
from uuid import UUID, uuid4

from msgspec.structs import replace

from schemas.events import Click, Conversion, CoreData, View
from schemas.programs import Program, Totals

NOW_MS = 1_760_000_000_000
VERSION = NOW_MS * 1_000

_CORE_DATA = CoreData(
    program_id="212313",
    name="program2",
    customer_id=9124,
    customer_name="Customer2",
    checksum="124",
    version=VERSION,
)
_PROGRAM = Program(
    program_id="212313",
    name="program2",
    customer_id=9124,
    customer_name="Customer2",
    checksum="124",
    version=VERSION,
)


def core_data(**fields: Any) -> CoreData:
    """The core data of the sample program 212313."""
    return replace(_CORE_DATA, **fields)


def view(**fields: Any) -> View:
    """A valid view with a message id of its own."""
    return View(**(_event_fields() | fields))


def click(**fields: Any) -> Click:
    """A valid click with a message id of its own."""
    return Click(**(_event_fields() | {"visitor": "visitor-1", "click_id": "click-1"} | fields))


def conversion(**fields: Any) -> Conversion:
    """A valid conversion with a message id of its own."""
    return Conversion(**(_event_fields() | {"click_id": "click-1"} | fields))


def id_made_at(at_ms: int) -> UUID:
    """A UUIDv7 of that millisecond."""
    return UUID(int=at_ms << 80 | 7 << 76 | getrandbits(12) << 64 | 2 << 62 | getrandbits(62))


def program(**fields: Any) -> Program:
    """The sample program 212313."""
    return replace(_PROGRAM, **fields)


def applied(written: Program, **fields: Any) -> Program:
    """The program as `refresh` holds it once it has applied this change of a writer."""
    return replace(written, **({"written_version": written.version} | fields))


def totals(**fields: Any) -> Totals:
    """Totals of a program with a few events of every kind."""
    return replace(Totals(views=5, clicks=3, conversions=2, invalid=1), **fields)


def _event_fields() -> dict[str, Any]:
    return {"message_id": uuid4(), "received_at_ms": NOW_MS, "program": core_data(), "valid": True}
