"""What each step of taking an event takes, by itself, over and over in a process that does nothing else."""

import time
from collections.abc import Callable, Sequence

import msgspec

from schemas.events import encode_event, hash_key
from schemas.frames import split_frames
from tests.bench.requests import HOPS, ITEMS, batch_items, gets
from tests.factories import NOW_MS, program
from tracker.answers import encode
from tracker.events import EventMaker
from tracker.plain import read_plain
from tracker.requests import EventRequest, decode_item, split_batch
from tracker.routes.events import event_answer
from tracker.sender import Headers, Sender, read_sender
from tracker.user_agents import UserAgents
from tracker.visitors import VisitorHashes

REPEATS = 30
"""Of which the shortest counts: nothing but the step makes it shorter."""
SECRET = b"bench" * 8
PEER = "127.0.0.1"


class Step(msgspec.Struct, frozen=True):
    """Microseconds of CPU time, of one event."""

    name: str
    us: float


class Steps(msgspec.Struct, frozen=True, kw_only=True):
    view: list[Step]
    """Of a plain GET."""
    item: list[Step]
    """Of one among a batch in msgpack."""


def measure() -> Steps:
    maker = EventMaker(UserAgents(remembered=1), VisitorHashes(SECRET))
    return Steps(view=_view(maker), item=_item(maker))


def _view(maker: EventMaker) -> list[Step]:
    wanted, plain = program(), EventRequest()
    requests = list(gets(1))[:ITEMS]
    read = [found for data in requests if (found := read_plain(data))]
    senders = [_sender(each.headers) for each in read]
    events = [maker.make(wanted, plain, sender, now_ms=NOW_MS).event for sender in senders]
    return [
        _step("read the request", lambda: list(map(read_plain, requests))),
        _step("read its sender", lambda: [_sender(each.headers) for each in read]),
        _step("make the event", lambda: [maker.make(wanted, plain, each, now_ms=NOW_MS) for each in senders]),
        _step("write the answer", lambda: [encode(event_answer(each, user_agent=None)) for each in events]),
        _step("encode it, find its lane", lambda: [(encode_event(e), hash_key(e.key)) for e in events]),
    ]


def _item(maker: EventMaker) -> list[Step]:
    wanted, hashes = program(), VisitorHashes(SECRET)
    body = msgspec.msgpack.encode(batch_items(0))
    batch = split_batch(body, "application/msgpack")
    asked = [msgspec.msgpack.decode(raw, type=EventRequest) for raw in batch.raw]
    visitors = [each.visitor or "" for each in asked]
    sender = _sender(read.headers) if (read := read_plain(next(iter(gets(1))))) else Sender()
    events = [maker.make(wanted, each, sender, now_ms=NOW_MS).event for each in asked]
    encoded = [encode_event(event) for event in events]
    return [
        _step("decode it", lambda: [decode_item(raw, batch.decoder, max_bytes=10**6) for raw in batch.raw]),
        _step("make the event", lambda: [maker.make(wanted, each, sender, now_ms=NOW_MS) for each in asked]),
        _step("of which its visitor's hash", lambda: [_hash(hashes, each) for each in visitors]),
        _step("encode it, find its lane", lambda: [(encode_event(e), hash_key(e.key)) for e in events]),
        _step("make a frame of it and others", lambda: list(split_frames(encoded))),
    ]


def _sender(headers: Headers) -> Sender:
    return read_sender(headers, peer=PEER, cookie=None, proxy_hops=HOPS)


def _hash(hashes: VisitorHashes, visitor: str) -> str:
    return hashes.of(visitor, program_id="1", now_ms=NOW_MS)


def _step(name: str, act: Callable[[], Sequence[object]]) -> Step:
    return Step(name, min(_took_s(act) for _ in range(REPEATS)) / ITEMS * 1e6)


def _took_s(act: Callable[[], object]) -> float:
    began_s = time.thread_time()
    act()
    return time.thread_time() - began_s
