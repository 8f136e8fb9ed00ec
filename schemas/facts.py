"""Facts: what the system itself finds out about a program, beside what its writers choose.

Two facts are joined by the larger of each number. So any order and any repetition of them ends the same, and
neither a fact nor a writer's change overwrites the other.

Of flagged visitors the FLAGGED_MAX whose flags last longest are kept. What has no room says until when more
than so many are flagged at once: that is how long the program is paused, so no few visitors can pause it. A
flag ends by itself, and nothing needs to arrive for that.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from schemas.programs import Count, InvalidReason, Program

FLAGGED_MAX = 64
"""Flagged visitors of one program; where more flood it at once, it is paused as a whole."""

Visitor = Annotated[str, Meta(min_length=1, max_length=256)]
"""As events hold it: what privacy left of it (tracker/privacy.py)."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """So many valid events were `counted`, at least. Visitors are `flagged` until a moment, in epoch
    milliseconds, and the program as a whole is until `flooded_until_ms`."""

    counted: Count = 0
    flagged: dict[str, int] = {}
    flooded_until_ms: Count = 0


def joined(held: Facts, found: Facts, *, now_ms: int) -> Facts:
    """What both say. Flags that are over by now are dropped."""
    visitors = held.flagged.keys() | found.flagged.keys()
    flags = [(max(_until(held, visitor), _until(found, visitor)), visitor) for visitor in visitors]
    lasting = sorted((flag for flag in flags if flag[0] > now_ms), reverse=True)
    without_room = (until_ms for until_ms, _ in lasting[FLAGGED_MAX:])
    return Facts(
        counted=max(held.counted, found.counted),
        flagged={visitor: until_ms for until_ms, visitor in lasting[:FLAGGED_MAX]},
        flooded_until_ms=max(held.flooded_until_ms, found.flooded_until_ms, *without_room),
    )


def is_spent(budget: int | None, facts: Facts) -> bool:
    """Whether a budget is: the one rule, so that a raised budget counts again and a lowered one does not."""
    return budget is not None and facts.counted >= budget


def flood_reason(program: Program, *, visitor: str | None, now_ms: int) -> InvalidReason | None:
    """Why an event of this visitor (as the event holds it) does not count, though its program does."""
    if program.flagged and visitor and now_ms < program.flagged.get(visitor, 0):
        return InvalidReason.FLOOD
    if program.flooded_until_ms and now_ms < program.flooded_until_ms:
        return InvalidReason.FLOOD
    return None


def _until(facts: Facts, visitor: str) -> int:
    return facts.flagged.get(visitor, 0)
