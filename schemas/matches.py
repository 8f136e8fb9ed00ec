"""Items of the matches table: the click that each conversion is due to.

program_id, conversion            the message id of the conversion
click                             the message id of the click
converted_at_ms, clicked_at_ms    when each was received
matched_by                        `click_id` or `visitor`: what they have in common
expires_at                        when it goes (epoch seconds), where its conversion goes
"""

from uuid import UUID

import msgspec

from schemas.dynamodb import EXPIRES_AT, Item, KeySchema
from schemas.updates import ConversionMatched, MatchedBy

MATCHES_KEY = KeySchema("program_id", "conversion")

LATER_CLICK = "attribute_not_exists(conversion) OR clicked_at_ms < :clicked_at_ms"
"""The condition of a put, with `:clicked_at_ms`: in whatever order they come, the latest click holds."""


def match_item(match: ConversionMatched) -> Item:
    """One flat item. What is None is left out."""
    numbers = {
        "converted_at_ms": match.converted_at_ms,
        "clicked_at_ms": match.clicked_at_ms,
        EXPIRES_AT: match.expires_at_s,
    }
    return {
        "program_id": {"S": match.program_id},
        "conversion": {"S": str(match.conversion)},
        "click": {"S": str(match.click)},
        "matched_by": {"S": match.by},
        **{name: {"N": str(number)} for name, number in numbers.items() if number is not None},
    }


def match_from_item(item: Item) -> ConversionMatched:
    """What `match_item` stored. Raises KeyError or ValueError for another shape."""
    return ConversionMatched(
        program_id=str(item["program_id"]["S"]),
        conversion=UUID(str(item["conversion"]["S"])),
        converted_at_ms=int(str(item["converted_at_ms"]["N"])),
        click=UUID(str(item["click"]["S"])),
        clicked_at_ms=int(str(item["clicked_at_ms"]["N"])),
        by=msgspec.convert(item["matched_by"]["S"], MatchedBy),
        expires_at_s=int(str(item[EXPIRES_AT]["N"])) if EXPIRES_AT in item else None,
    )
