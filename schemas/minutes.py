"""Minutes: what came in for one program in one minute, in the parts that shards count apart.

An event is on one shard, by its visitor; so a program's minute is counted in parts, one for each shard that
has seen it. A part is named by the message id of the first event in it, so that whoever counts on from it
(another worker, the shard's child) goes on under the same name. Parts are disjoint, their visitors too.
"""

import msgspec

from schemas.programs import Count

MINUTE_MS = 60_000


class Minute(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Events received in one minute; `visitors` are the distinct ones of those that count. All only grow."""

    views: Count = 0
    clicks: Count = 0
    conversions: Count = 0
    invalid: Count = 0
    visitors: Count = 0

    @property
    def events(self) -> int:
        """All of them. Grows with every change, so it orders what is known of one part."""
        return self.views + self.clicks + self.conversions + self.invalid

    def __add__(self, other: "Minute") -> "Minute":
        return Minute(
            views=self.views + other.views,
            clicks=self.clicks + other.clicks,
            conversions=self.conversions + other.conversions,
            invalid=self.invalid + other.invalid,
            visitors=self.visitors + other.visitors,
        )


def minute_of(at_ms: int) -> int:
    """Where the minute of a moment starts, in epoch milliseconds."""
    return at_ms - at_ms % MINUTE_MS
