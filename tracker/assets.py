"""Assets: files that a browser loads from a task, packed once, and asked for again by their tag."""

import gzip
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from sanic import Request
from sanic.response import HTTPResponse

from tracker.answers import respond, wants_gzip

STATIC = Path(__file__).parent / "static"


class Asset(NamedTuple):
    """A file, as it is and packed."""

    body: bytes
    packed: bytes
    etag: str
    content_type: str


def load_asset(name: str, content_type: str) -> Asset:
    """The file of this name under `static`."""
    body = (STATIC / name).read_bytes()
    return Asset(body, gzip.compress(body, mtime=0), f'W/"{sha256(body).hexdigest()[:16]}"', content_type)


def send_asset(request: Request, asset: Asset, headers: dict[str, str]) -> HTTPResponse:
    """The asset with these headers; 304 to a browser that has it already."""
    headers = headers | {
        "etag": asset.etag,
        "vary": "accept-encoding",
        "x-content-type-options": "nosniff",
    }
    if asset.etag in _tags(request):
        return respond(request, b"", status=304, content_type=None, headers=headers)
    if not wants_gzip(request.headers.get("accept-encoding")):
        return respond(request, asset.body, content_type=asset.content_type, headers=headers)
    headers |= {"content-encoding": "gzip"}
    return respond(request, asset.packed, content_type=asset.content_type, headers=headers)


def _tags(request: Request) -> list[str]:
    return [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]
