"""Privacy: what may be kept of who sent an event, decided before there is an event. Pure.

    policy       address            user agent   visitor        referrer    visitor cookie  trace
    full         kept               kept         kept           kept        set             kept
    truncate     its /24 or /48     its family   hash of a day  its origin  not set         kept
    anonymous    dropped            dropped      dropped        its origin  not set         dropped

A signal of the sender makes a program's policy stricter, never laxer:

    DNT: 1       at least truncate    (W3C Tracking Preference Expression)
    Sec-GPC: 1   anonymous            (W3C Global Privacy Control)

docs/privacy.md says why, and what the hash of a day does and does not hide.
"""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from schemas.programs import Privacy
from tracker.addresses import Address, truncated

_PLAIN_URL = re.compile(r"(https?://[a-z0-9.-]+)(?:[/?]|\Z)")
"""How nearly all web addresses begin. The others are read in full, at some five times the cost."""
_STRICTNESS: dict[Privacy, int] = {"full": 0, "truncate": 1, "anonymous": 2}


class Signals(msgspec.Struct, frozen=True, gc=False):
    """What a request's headers ask for."""

    global_privacy_control: bool = False
    do_not_track: bool = False


class Traces(msgspec.Struct, frozen=True, gc=False):
    """What is known of who sent an event."""

    address: Address | None = None
    user_agent: str | None = None
    visitor: str | None = None
    referrer: str | None = None
    traceparent: str | None = None


def policy_for(program: Privacy, signals: Signals) -> Privacy:
    """The strictest of what the program and the signals ask for."""
    if signals.global_privacy_control:
        return "anonymous"
    if signals.do_not_track:
        return max(program, "truncate", key=_STRICTNESS.__getitem__)
    return program


def kept(
    traces: Traces, policy: Privacy, *, family: Callable[[str], str | None], hashed: Callable[[str], str]
) -> Traces:
    """What of `traces` the policy lets be stored. `family` reduces a user agent, `hashed` a visitor."""
    if policy == "full":
        return traces
    origin = traces.referrer and origin_of(traces.referrer)
    if policy == "anonymous":
        return Traces(referrer=origin)
    return Traces(
        address=traces.address and truncated(traces.address),
        user_agent=traces.user_agent and family(traces.user_agent),
        visitor=traces.visitor and hashed(traces.visitor),
        referrer=origin,
        traceparent=traces.traceparent,
    )


def allows_cookie(policy: Privacy) -> bool:
    """Whether a visitor may be given a name to come back with."""
    return policy == "full"


def origin_of(url: str) -> str | None:
    """The scheme, host and port of a web address, without user or password; None of anything else."""
    plain = _PLAIN_URL.match(url)
    return f"{plain[1]}/" if plain else read_origin(url)


def read_origin(url: str) -> str | None:
    """The same of any address, plain or not."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host:
        return None
    named = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{named}" + (f":{port}" if port else "") + "/"
