"""Rate limits: how many events a second a task takes, of a program and of a client address."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, NamedTuple, TypeVar

from schemas.errors import RateLimitedError
from schemas.programs import Program
from tracker.addresses import Address, subscriber

Key = TypeVar("Key", bound=Hashable)


class Bucket:
    """Tokens that come back at a rate. A second's worth may go at once, so a bucket begins full."""

    __slots__ = ("_at_ms", "_tokens")

    def __init__(self, rate_per_s: int, now_ms: int) -> None:
        self._tokens = float(rate_per_s)
        self._at_ms = now_ms

    def has_token(self, rate_per_s: int, now_ms: int) -> bool:
        """Takes in what came back since it was last asked. While the clock goes back, nothing does."""
        came_back = max(0, now_ms - self._at_ms) * rate_per_s / 1000
        self._tokens = min(float(rate_per_s), self._tokens + came_back)
        self._at_ms = now_ms
        return self._tokens >= 1

    def take(self) -> None:
        self._tokens -= 1


class Buckets(Generic[Key]):
    """At most `most` buckets; the one not asked for longest is forgotten, and begins full again."""

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._buckets: OrderedDict[Key, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def get(self, key: Key, rate_per_s: int, now_ms: int) -> Bucket:
        bucket = self._buckets.pop(key, None) or Bucket(rate_per_s, now_ms)
        self._buckets[key] = bucket
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return bucket


class Limit(NamedTuple):
    """One that an event has to pass; `of` says whose."""

    of: str
    bucket: Bucket
    rate_per_s: int


class Limits:
    """Refuses events past a rate: a task's own, so that N tasks take N times as many.

    An event that is refused takes no token, so a sender that goes on too fast still gets its rate.
    """

    def __init__(
        self,
        *,
        address_per_s: int | None,
        addresses_max: int,
        programs_max: int,
        clock_ms: Callable[[], int],
    ) -> None:
        self._address_per_s = address_per_s
        self._addresses: Buckets[tuple[str, Address]] = Buckets(most=addresses_max)
        self._programs: Buckets[str] = Buckets(most=programs_max)
        self._clock_ms = clock_ms

    @property
    def addresses_known(self) -> int:
        return len(self._addresses)

    def admit(self, address: Address | None) -> None:
        """One event of this address, whatever its program. Raises RateLimitedError."""
        if self._address_per_s is None:
            return
        now_ms = self._clock_ms()
        self._take([*self._of_address("client address", "", address, self._address_per_s, now_ms)], now_ms)

    def admit_to(self, program: Program, address: Address | None) -> None:
        """One event of this address for this program. Raises RateLimitedError."""
        if program.rate_per_s is None and program.rate_per_address_per_s is None:
            return
        now_ms = self._clock_ms()
        rate, key = program.rate_per_address_per_s, program.program_id
        limits = [*self._of_address("client address to the program", key, address, rate, now_ms)]
        if program.rate_per_s is not None:
            bucket = self._programs.get(key, program.rate_per_s, now_ms)
            limits.append(Limit("program", bucket, program.rate_per_s))
        self._take(limits, now_ms)

    def _of_address(
        self, of: str, program_id: str, address: Address | None, rate_per_s: int | None, now_ms: int
    ) -> Iterator[Limit]:
        if address is not None and rate_per_s is not None:
            bucket = self._addresses.get((program_id, subscriber(address)), rate_per_s, now_ms)
            yield Limit(of, bucket, rate_per_s)

    def _take(self, limits: list[Limit], now_ms: int) -> None:
        for limit in limits:
            if not limit.bucket.has_token(limit.rate_per_s, now_ms):
                raise RateLimitedError(f"more than {limit.rate_per_s} events a second of this {limit.of}")
        for limit in limits:
            limit.bucket.take()
