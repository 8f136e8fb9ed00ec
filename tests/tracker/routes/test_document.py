"""The API's description as a page: whole, by itself, and true in every call that it shows."""

import re
import shlex
from html import unescape
from html.parser import HTMLParser

import pytest

from tests.tracker.documented import the_document
from tests.tracker.server import TOKEN, Serve, Tracker
from tracker.reference import reference

CALL = re.compile(r"<pre class=call>(.*?)</pre>", re.DOTALL)


def calls() -> list[str]:
    return [unescape(each) for each in CALL.findall(reference(the_document(), address="http://x"))]


class Page(HTMLParser):
    """Its ids and links, and whatever it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given["id"]} if "id" in given else set()
        self.links |= {given["href"]} if "href" in given else set()
        self.loads += [tag] if "src" in given or tag in ("link", "script", "iframe") else []


async def test_the_page_loads_nothing_and_may_load_nothing(tracker: Tracker) -> None:
    answer = await tracker.client.get("/docs")
    page = Page(answer.text)

    assert page.loads == []
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


async def test_every_link_leads_somewhere(tracker: Tracker) -> None:
    page = Page((await tracker.client.get("/docs")).text)

    assert {link.removeprefix("#") for link in page.links} <= page.ids | {"openapi.json"}
    names = {each["operationId"] for of in the_document()["paths"].values() for each in of.values()}
    assert names <= page.ids
    assert {f"schema-{name}" for name in the_document()["components"]["schemas"]} <= page.ids


async def test_where_it_is_asked_for_is_where_its_calls_go_and_is_not_taken_for_html(
    tracker: Tracker,
) -> None:
    answer = await tracker.client.get("/docs", headers={"host": "<b>ads.example"})

    assert "<b>ads" not in answer.text
    assert "TRACKER=&#x27;http://&lt;b&gt;ads.example&#x27;" in answer.text


@pytest.mark.parametrize("call", calls())
async def test_a_call_of_the_page_does_what_it_shows(serve: Serve, call: str) -> None:
    words = shlex.split(call)
    url = next(word for word in words if word.startswith("$TRACKER"))
    given = [words[index + 1] for index, word in enumerate(words) if word == "-H"]
    headers = dict(each.split(": ", 1) for each in given)
    if "authorization" in headers:
        headers |= TOKEN
    body = words[words.index("-d") + 1] if "-d" in words else None

    async with serve(admin_token="secret") as tracker:
        answer = await tracker.client.request(
            _method(words), url.removeprefix("$TRACKER"), headers=headers, content=body
        )

    described = the_document()["paths"]
    first = {next(iter(each["responses"])) for of in described.values() for each in of.values()}
    assert str(answer.status_code) in first
    assert answer.status_code < 400 or "/click/" in url


def _method(words: list[str]) -> str:
    if "--head" in words:
        return "HEAD"
    if "-X" in words:
        return words[words.index("-X") + 1]
    return "POST" if "-d" in words else "GET"
