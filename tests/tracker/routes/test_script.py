"""The script is small, cached for a short while, and asked for again by its tag."""

import gzip

from tests.tracker.server import Tracker
from tracker.routes.script import SCRIPT

SIZE_MAX_BYTES = 2_000


async def test_the_script_takes_less_than_two_kilobytes(tracker: Tracker) -> None:
    headers = {"accept-encoding": "gzip"}
    async with tracker.client.stream("GET", "/t.js", headers=headers) as answer:
        body = b"".join([part async for part in answer.aiter_raw()])

    assert answer.headers["content-encoding"] == "gzip"
    assert len(body) < SIZE_MAX_BYTES
    assert body == SCRIPT.packed
    assert gzip.decompress(body) == SCRIPT.body


async def test_a_page_of_any_origin_may_load_the_script(tracker: Tracker) -> None:
    answer = await tracker.client.get("/t.js", headers={"accept-encoding": "identity"})

    assert answer.content == SCRIPT.body
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"


async def test_a_browser_that_has_the_script_is_told_so(tracker: Tracker) -> None:
    tag = (await tracker.client.get("/t.js")).headers["etag"]

    same = await tracker.client.get("/t.js", headers={"if-none-match": f'"older", {tag}'})
    other = await tracker.client.get("/t.js", headers={"if-none-match": '"older"'})

    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert other.status_code == 200
