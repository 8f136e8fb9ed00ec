"""Which click a conversion is due to. Pure.

A conversion that names a click is due to the last click of that id, one that names none to the last click
of its visitor: of the same program, at most a window before it. What does not count is due to nothing.
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from uuid import UUID

import msgspec

from schemas.dynamodb import expires_at_s
from schemas.events import Click, Conversion, Event
from schemas.updates import ConversionMatched, MatchedBy

KEPT = 100
"""Of one key, program and window the newest clicks, and the newest conversions."""
HASH_BYTES = 16


class Touch(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A click or a conversion. They are ordered by when they were received."""

    at_ms: int
    message_id: UUID
    expires_at_s: int | None = None


class Trail(msgspec.Struct, frozen=True, array_like=True):
    """What is known under one key in one window of time, in order."""

    clicks: tuple[Touch, ...] = ()
    conversions: tuple[Touch, ...] = ()


def keys_of(event: Event) -> list[str]:
    """The keys under which a click and its conversions meet: a click may be asked for by either."""
    by_id = [_key(event, "click_id", event.click_id)] if event.click_id else []
    by_visitor = [_key(event, "visitor", event.visitor)] if event.visitor else []
    match event:
        case Click(valid=True):
            return by_id + by_visitor
        case Conversion(valid=True):
            return by_id or by_visitor
        case _:
            return []


def with_event(trail: Trail, event: Event) -> Trail:
    """The trail with one touch more, and without the oldest where they are too many."""
    touch = Touch(event.received_at_ms, event.message_id, expires_at_s(event))
    if isinstance(event, Click):
        return Trail(_newest(trail.clicks, touch), trail.conversions)
    return Trail(trail.clicks, _newest(trail.conversions, touch))


def is_known(event: Event, trails: Iterable[Trail]) -> bool:
    """Whether an event of its kind and message id is on one of the trails."""
    touches = (each.clicks if isinstance(event, Click) else each.conversions for each in trails)
    return any(touch.message_id == event.message_id for some in touches for touch in some)


def matches(
    key: str, event: Event, trails: Iterable[Trail], *, window_ms: int
) -> Iterator[ConversionMatched]:
    """What `event`, on the trails already, makes known: a conversion its click, a click its conversions."""
    known = list(trails)
    clicks = [click for trail in known for click in trail.clicks]
    for conversion in (each for trail in known for each in trail.conversions):
        click = _last_between(conversion.at_ms - window_ms, conversion.at_ms, clicks)
        if click is not None and event.message_id in (click.message_id, conversion.message_id):
            yield _matched(key, event, click, conversion)


def _last_between(first_ms: int, last_ms: int, clicks: Iterable[Touch]) -> Touch | None:
    return max((click for click in clicks if first_ms <= click.at_ms <= last_ms), default=None)


def _matched(key: str, event: Event, click: Touch, conversion: Touch) -> ConversionMatched:
    return ConversionMatched(
        program_id=event.program.program_id,
        conversion=conversion.message_id,
        converted_at_ms=conversion.at_ms,
        click=click.message_id,
        clicked_at_ms=click.at_ms,
        by=msgspec.convert(key.partition("/")[0], MatchedBy),
        expires_at_s=conversion.expires_at_s,
    )


def _key(event: Event, by: MatchedBy, value: str) -> str:
    """As short as a partition key has to be, whatever the value is."""
    told = blake2b(value.encode(), digest_size=HASH_BYTES).hexdigest()
    return f"{by}/{event.program.program_id}/{told}"


def _newest(touches: tuple[Touch, ...], touch: Touch) -> tuple[Touch, ...]:
    return tuple(sorted((*touches, touch))[-KEPT:])
