"""How many different visitors there were, in a bounded space. Pure.

A sketch is the smallest hashes of those seen, sorted, one behind the other: all of them up to EXACT
visitors, whose number is exact. Of more it keeps the EXACT smallest and tells their number from how dense
they lie, some 3 % off (Bar-Yossef et al., "Counting Distinct Elements in a Data Stream", 2002). A sketch
that grows never tells a smaller number, and one of two is that of both their visitors.
"""

from bisect import bisect_left
from hashlib import blake2b

EXACT = 1_024
HASH_BYTES = 8
HASHES = 1 << 8 * HASH_BYTES


def with_visitor(sketch: bytes, visitor: str) -> bytes:
    """The sketch of those it had and this one."""
    return _with(sketch, blake2b(visitor.encode(), digest_size=HASH_BYTES).digest())


def distinct(sketch: bytes) -> int:
    """How many visitors there were: exact below EXACT."""
    count = _size(sketch)
    if count < EXACT:
        return count
    largest = int.from_bytes(_hash(sketch, count - 1))
    return max(count, round((count - 1) * HASHES / (largest + 1)))


def merged(first: bytes, second: bytes) -> bytes:
    """The sketch of the visitors of both."""
    for index in range(_size(second)):
        first = _with(first, _hash(second, index))
    return first


def _with(sketch: bytes, each: bytes) -> bytes:
    place = bisect_left(range(_size(sketch)), each, key=lambda index: _hash(sketch, index))
    if place == EXACT or _hash(sketch, place) == each:
        return sketch
    at = place * HASH_BYTES
    return (sketch[:at] + each + sketch[at:])[: EXACT * HASH_BYTES]


def _size(sketch: bytes) -> int:
    return len(sketch) // HASH_BYTES


def _hash(sketch: bytes, index: int) -> bytes:
    return sketch[index * HASH_BYTES : (index + 1) * HASH_BYTES]
