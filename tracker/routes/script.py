"""`/t.js`: the script that pages send events with."""

import gzip
from hashlib import sha256
from pathlib import Path

from sanic import Blueprint, Request
from sanic.response import HTTPResponse

from tracker.answers import respond, wants_gzip

MAX_AGE_S = 300
"""How long a browser runs on a script before it asks whether there is a newer one."""

SCRIPT = (Path(__file__).parents[1] / "static" / "t.js").read_bytes()
PACKED = gzip.compress(SCRIPT, mtime=0)
ETAG = f'W/"{sha256(SCRIPT).hexdigest()[:16]}"'
_HEADERS = {
    "access-control-allow-origin": "*",
    "cache-control": f"public, max-age={MAX_AGE_S}",
    "cross-origin-resource-policy": "cross-origin",
    "etag": ETAG,
    "vary": "accept-encoding",
    "x-content-type-options": "nosniff",
}

script = Blueprint("script")


@script.get("/t.js")
async def get_script(request: Request) -> HTTPResponse:
    """304 to a browser that has it already."""
    if ETAG in _tags(request):
        return respond(request, b"", status=304, content_type=None, headers=_HEADERS)
    packed = wants_gzip(request.headers.get("accept-encoding"))
    headers = _HEADERS | ({"content-encoding": "gzip"} if packed else {})
    body = PACKED if packed else SCRIPT
    return respond(request, body, content_type="text/javascript; charset=utf-8", headers=headers)


def _tags(request: Request) -> list[str]:
    return [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]
