"""What a load is: which events, how fast, where to, and when it ends. It always ends."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from socket import gaierror, getaddrinfo
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct, field

from schemas.errors import TrackerError

Kind = Literal["view", "click", "conversion"]
MIX: Mapping[Kind, int] = {"view": 80, "click": 15, "conversion": 5}
BatchSize = Annotated[int, Meta(ge=1, le=10_000)]
Share = Annotated[float, Meta(ge=0, le=1)]


class LoadError(TrackerError):
    """The load could not be carried through, or was asked for something that it does not do."""


class Target(Struct, frozen=True):
    """A program that events are of."""

    program_id: str
    checksum: str


class Plan(Struct, frozen=True, kw_only=True):
    """One run. Every bound of it is here, with its default."""

    run: Annotated[str, Meta(pattern=r"^[0-9a-f]{12}\Z")]
    """What the ids of all its events begin with."""
    trackers: Annotated[list[str], Meta(min_length=1)]
    programs: tuple[Target, ...] = ()
    rate_per_s: Annotated[float, Meta(gt=0, le=1_000_000)] | None = 200.0
    """Events; None is as many as are answered."""
    duration_s: Annotated[float, Meta(gt=0, le=3_600)] = 30.0
    events_max: Annotated[int, Meta(ge=1, le=10_000_000)] = 1_000_000
    ramp_s: Annotated[float, Meta(ge=0, le=3_600)] = 0.0
    """How long the rate rises from nothing; of a saturation, the number of connections in use."""
    batch_sizes: Annotated[tuple[BatchSize, ...], Meta(min_length=1)] = (1,)
    """Of the requests, in turn: one event goes by GET, more go by POST."""
    mix: dict[Kind, Annotated[int, Meta(ge=0)]] = field(default_factory=lambda: dict(MIX))
    wrong_checksums: Share = 0.02
    visitors: Annotated[int, Meta(ge=1)] = 2_000
    connections: Annotated[int, Meta(ge=1, le=4_096)] = 64
    """Requests that may be unanswered at a time, over all processes."""
    processes: Annotated[int, Meta(ge=1, le=32)] = 1
    attempts: Annotated[int, Meta(ge=1, le=100)] = 20
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 10.0

    def __post_init__(self) -> None:
        if not sum(self.mix.values()):
            raise ValueError("a mix needs a kind of event with a share above 0")
        if self.connections < self.processes:
            raise ValueError("every process needs a connection")


def make_plan(given: Mapping[str, Any]) -> Plan:
    """Raises LoadError that names what is out of its bounds."""
    try:
        return msgspec.convert(given, Plan)
    except msgspec.ValidationError as error:
        raise LoadError(f"No such load: {error}") from error


def check_trackers(urls: Sequence[str], *, remote: bool) -> None:
    """Raises LoadError for what is not a base URL, or is not on this machine unless `remote`."""
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
            raise LoadError(f"{url} is not the address of a tracker, such as http://localhost:8080")
        if not remote and not _is_here(parts.hostname):
            raise LoadError(
                f"{url} is not on this machine. A load is an attack on whoever did not ask for it: "
                f"--allow-remote says that it is yours"
            )


def _is_here(host: str) -> bool:
    try:
        found = getaddrinfo(host, None)
    except gaierror as error:
        raise LoadError(f"{host} has no address: {error}") from error
    return all(ip_address(each[4][0]).is_loopback for each in found)
