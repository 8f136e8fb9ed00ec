"""What pages queue is stored exactly once: tabs close, the network goes, the tracker is killed."""

import os
import signal
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request

from schemas.programs import Totals
from tests.browser.conftest import Site, shop_page
from tests.system.conftest import ROOT, Stack, running_stack, until

OFFLINE_MS = 5_000
PAGE = ROOT / "docs" / "examples" / "page.html"
A_PERSONS = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
)
"""Headless Chromium says what it is, and a bot's events do not count."""
QUEUE_EMPTY = "Object.keys(localStorage).length === 0"
QUEUE = "([kind, count]) => Array.from({ length: count }, () => rt(kind, { visitor: 'v' + Math.random() }))"

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]


class Visit:
    """A browser whose tabs are pages of one shop. It writes down each id that a page queued."""

    def __init__(self, context: BrowserContext, site: Site) -> None:
        self.context = context
        self.site = site
        self.views: list[str] = []
        self.clicks: list[str] = []
        self.failed: list[Request] = []
        context.on("requestfailed", lambda request: self.failed.append(request))

    def open(self) -> Page:
        page = self.context.new_page()
        page.goto(self.site.origin)
        return page

    def queue(self, page: Page, *, views: int, clicks: int) -> None:
        self.views += page.evaluate(QUEUE, ["view", views])
        self.clicks += page.evaluate(QUEUE, ["click", clicks])


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of its own: one of its trackers is killed."""
    with running_stack(tmp_path_factory.mktemp("stack")) as stack:
        assert stack.trackers[0].get("/cache/fill").status_code == 200
        yield stack


def test_the_page_of_the_documents_sends_what_it_says(browser: Browser, stack: Stack) -> None:
    site = Site(PAGE.read_text().replace("http://localhost:8080", stack.file.trackers[0]))
    with site, browser.new_context(user_agent=A_PERSONS) as context:
        page = context.new_page()
        page.goto(site.origin)
        page.get_by_text("Look closer").click()
        page.get_by_text("Buy").click()
        page.wait_for_function(f"rt.q === undefined && {QUEUE_EMPTY}")

    until(lambda: stack.totals("212313").stored >= 3, timeout_s=10)
    assert stack.totals("212313") == Totals(views=1, clicks=1, conversions=1)


def test_the_page_of_the_documents_is_the_one_that_they_show() -> None:
    shown = (ROOT / "docs" / "ways-in.md").read_text().partition("```html\n")[2].partition("```")[0]

    assert shown in PAGE.read_text()


def test_every_event_that_a_page_queued_is_stored_exactly_once(browser: Browser, stack: Stack) -> None:
    program_id = f"shop-{uuid4().hex[:8]}"
    site = Site(shop_page(f"{stack.file.trackers[0]}/t.js", program_id))
    make_program(stack, program_id, origins=[site.origin])
    with site, browser.new_context(user_agent=A_PERSONS) as context:
        visit = Visit(context, site)
        go_through_it_all(visit, stack)

    assert visit.failed
    assert len(set(visit.views)) == 1_000
    assert len(set(visit.clicks)) == 200
    until(lambda: stack.totals(program_id).stored >= 1_200, timeout_s=30)
    for message_id in visit.views + visit.clicks:
        assert stack.stored(program_id, message_id)
    assert stack.totals(program_id) == Totals(views=1_000, clicks=200)


def go_through_it_all(visit: Visit, stack: Stack) -> None:
    first, second, third = visit.open(), visit.open(), visit.open()
    with first.expect_request("**/beacon"):
        visit.queue(first, views=200, clicks=40)
    first.close()
    visit.queue(second, views=200, clicks=40)

    visit.context.set_offline(True)
    visit.queue(second, views=100, clicks=20)
    visit.queue(third, views=100, clicks=20)
    second.close()
    third.wait_for_timeout(OFFLINE_MS)
    visit.context.set_offline(False)

    killed = stack.file.pids["tracker-1"]
    os.kill(killed, signal.SIGKILL)
    visit.queue(third, views=200, clicks=40)
    third.close()
    until(lambda: stack.read_file().pids["tracker-1"] != killed and is_ready(stack), timeout_s=30)

    last = visit.open()
    visit.queue(last, views=200, clicks=40)
    last.wait_for_function(QUEUE_EMPTY, timeout=60_000)


def is_ready(stack: Stack) -> bool:
    try:
        return stack.trackers[0].get("/health/ready").is_success
    except httpx.TransportError:
        return False


def make_program(stack: Stack, program_id: str, **fields: Any) -> None:
    body = {"name": "shop", "customerId": 1, "customerName": "c", "checksum": "1"} | fields
    assert stack.trackers[0].put(f"/programs/{program_id}?wait=true", json=body).status_code == 200
