"""The events of a load, each a pure function of its number: whoever audits them need not have kept them."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from cdk.local.audit import Entry
from cdk.local.load import ClientEvent
from cdk.local.stored import COUNT_OF_KIND
from tests.load.plan import Kind, Plan

MASK = 2**64 - 1
PER_MILLE = 1_000
QUOTED_MAX = 20_000

_encoder = msgspec.json.Encoder()


class Message(NamedTuple):
    """A request: its method and path, and its body in JSON if it has one."""

    line: str
    body: bytes = b""


class Events:
    def __init__(self, plan: Plan) -> None:
        self._run = plan.run
        self._seed = int(plan.run, 16)
        self._programs = plan.programs
        self._kinds: Sequence[Kind] = [kind for kind, share in plan.mix.items() for _ in range(share)]
        self._wrong = round(plan.wrong_checksums * PER_MILLE)
        self._visitors = plan.visitors

    def message(self, numbers: Sequence[int]) -> Message:
        """One event goes by GET, more go by POST."""
        events = [self.event(number) for number in numbers]
        if len(events) > 1:
            return Message("POST /events", _encoder.encode(events))
        return Message(f"GET /event/{_quoted(events[0].program_id)}?{_query(events[0])}")

    def event(self, number: int) -> ClientEvent:
        bits = _mixed(number + self._seed)
        bits, program = divmod(bits, len(self._programs))
        bits, kind = divmod(bits, len(self._kinds))
        bits, visitor = divmod(bits, self._visitors)
        target, name = self._programs[program], self._kinds[kind]
        return ClientEvent(
            program_id=target.program_id,
            message_id=self.message_id(number),
            kind=name,
            visitor=f"visitor-{visitor}",
            checksum="wrong" if bits % PER_MILLE < self._wrong else target.checksum,
            value="9.99" if name == "conversion" else None,
            currency="EUR" if name == "conversion" else None,
        )

    def entries(self, numbers: Iterable[int]) -> Iterable[Entry]:
        """Where the ledger must show them."""
        right = {each.program_id: each.checksum for each in self._programs}
        for event in map(self.event, numbers):
            counted = event.checksum == right[event.program_id]
            counts_as = COUNT_OF_KIND[event.kind] if counted else "invalid"
            yield Entry(event.program_id, event.message_id, counts_as)

    def message_id(self, number: int) -> str:
        """A UUIDv7 of the run's moment, so that those of one run lie together."""
        return f"{self._run[:8]}-{self._run[8:]}-7000-8000-{number:012x}"

    def holds(self, message_id: str) -> bool:
        """Whether it is an event of this run."""
        return message_id.replace("-", "").startswith(self._run)


@lru_cache(maxsize=QUOTED_MAX)
def _quoted(text: str) -> str:
    return quote(text, safe="")


def _query(event: ClientEvent) -> str:
    """Faster than a general encoder: a load should not measure itself."""
    query = f"messageId={event.message_id}&kind={event.kind}&visitor={event.visitor}"
    if event.value:
        query += f"&value={event.value}&currency={event.currency}"
    return f"{query}&checksum={_quoted(event.checksum)}"


def _mixed(number: int) -> int:
    """Spreads consecutive numbers over 64 bits (the finalizer of Vigna's splitmix64)."""
    bits = number * 0x9E3779B97F4A7C15 & MASK
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 & MASK
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EB & MASK
    return bits ^ bits >> 31
