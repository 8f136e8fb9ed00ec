"""Plain requests: what most clients send, read from one piece of bytes.

Plain is `GET /event/{programId}` in HTTP/1.1, whole, alone, with each header once, without a body and
without a wish about its connection. What is not plain is for Sanic; what is, Sanic would read alike.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST = re.compile(
    rb'GET /event/([A-Za-z0-9_-]{1,64})(?:\?([!"$-~]*))? HTTP/1\.1((?:\r\n'
    + _TOKEN
    + rb":[\t -~\x80-\xff]*)+)\r\n\r\n"
)
_NOT_PLAIN = frozenset(
    {"content-length", "transfer-encoding", "expect", "upgrade", "connection", "content-encoding"}
)


class PlainHeaders(dict[str, str]):
    """Headers that each came once, by lower-case name."""

    def getall(self, name: str, default: Sequence[str], /) -> Sequence[str]:
        value = self.get(name)
        return default if value is None else (value,)


class PlainRequest(NamedTuple):
    """What `GET /event/{programId}?{query}` asks, with its headers."""

    program_id: str
    query: str
    headers: PlainHeaders


def read_plain(data: bytes) -> PlainRequest | None:
    """The request that `data` is; None where it is not plain."""
    found = _REQUEST.fullmatch(data)
    if found is None:
        return None
    program_id, query, block = found.groups(b"")
    lines = block.decode(errors="surrogateescape").split("\r\n")
    headers = PlainHeaders()
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.lstrip()
    is_plain = len(headers) == len(lines) - 1 and "host" in headers and _NOT_PLAIN.isdisjoint(headers)
    return PlainRequest(program_id.decode(), query.decode(), headers) if is_plain else None
