"""`/t.js`: the script that pages send events with."""

from sanic import Blueprint, Request
from sanic.response import HTTPResponse

from tracker.assets import load_asset, send_asset

MAX_AGE_S = 300
"""How long a browser runs on a script before it asks whether there is a newer one."""

SCRIPT = load_asset("t.js", "text/javascript; charset=utf-8")
_HEADERS = {
    "access-control-allow-origin": "*",
    "cache-control": f"public, max-age={MAX_AGE_S}",
    "cross-origin-resource-policy": "cross-origin",
}

script = Blueprint("script")


@script.get("/t.js")
async def get_script(request: Request) -> HTTPResponse:
    """304 to a browser that has it already."""
    return send_asset(request, SCRIPT, _HEADERS)
