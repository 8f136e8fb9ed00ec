"""The script in a browser, with a tracker that answers as it is told."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route

from tests.browser.conftest import Site, shop_page
from tracker.routes.script import SCRIPT

TRACKER = "https://tracker.example"
ID = "212313"
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z")
CORS = {"access-control-allow-origin": "*", "access-control-expose-headers": "retry-after"}
GATHER_MS = 250
FORBIDDEN = """Object.defineProperty(window, 'localStorage', {
    get() { throw new DOMException('denied', 'SecurityError') }
})"""
QUEUED = "Object.keys(localStorage).length"


class Answer(NamedTuple):
    status: int = 200
    body: str = '{"results": []}'
    headers: Mapping[str, str] = {}


class Tracker:
    """Takes what is posted to it, or refuses it with the answer that is next."""

    def __init__(self) -> None:
        self.posts: list[list[dict[str, Any]]] = []
        self.refusals: list[Answer] = []

    def answer(self, route: Route) -> None:
        items = json.loads(route.request.post_data or "")
        self.posts.append(items)
        status, body, headers = self.refusals.pop(0) if self.refusals else Answer()
        route.fulfill(status=status, body=body, headers={**CORS, **headers})

    @property
    def ids(self) -> list[str]:
        return [item["messageId"] for items in self.posts for item in items]


@pytest.fixture
def tracker() -> Tracker:
    return Tracker()


@pytest.fixture
def context(browser: Browser, tracker: Tracker) -> Iterator[BrowserContext]:
    with browser.new_context() as context:
        context.route(
            f"{TRACKER}/t.js", lambda route: route.fulfill(body=SCRIPT.body, content_type="text/javascript")
        )
        context.route(f"{TRACKER}/beacon", tracker.answer)
        yield context


@pytest.fixture
def site() -> Iterator[Site]:
    with Site(shop_page(f"{TRACKER}/t.js", ID)) as site:
        yield site


def open_page(context: BrowserContext, site: Site, *, script: str = "") -> Page:
    """A tab whose clock only moves when it is told."""
    page = context.new_page()
    page.clock.install()
    page.add_init_script(script)
    page.goto(f"{site.origin}/shoes?secret=1")
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 1)
    return page


def pass_ms(page: Page, ms: int) -> None:
    """Time goes by, and what was sent in it is answered: the script holds its lock until then."""
    page.clock.run_for(ms)
    page.evaluate("navigator.locks.request('rt:tracker.example:', () => {})")


def test_events_are_gathered_and_sent_as_the_page_gave_them(
    context: BrowserContext, site: Site, tracker: Tracker
) -> None:
    page = open_page(context, site)

    view = page.evaluate("rt('view')")
    sale = page.evaluate("rt('conversion', {visitor: 'v', value: '9.50', currency: 'EUR', clickId: 'c'})")
    assert tracker.posts == []
    pass_ms(page, GATHER_MS)

    common = {"programId": ID, "referrer": f"{site.origin}/shoes"}
    assert tracker.posts == [
        [
            common | {"kind": "view", "messageId": view},
            common
            | {"kind": "conversion", "messageId": sale, "visitor": "v", "value": "9.50", "currency": "EUR"}
            | {"clickId": "c"},
        ]
    ]
    assert page.evaluate(QUEUED) == 0


def test_calls_made_before_the_script_is_there_are_not_lost(
    context: BrowserContext, site: Site, tracker: Tracker
) -> None:
    stub = "window.rt = function () { (rt.q = rt.q || []).push(arguments) }; rt('click', {visitor: 'early'})"
    page = open_page(context, site, script=stub)

    pass_ms(page, GATHER_MS)

    assert [item["visitor"] for items in tracker.posts for item in items] == ["early"]


def test_what_is_not_acknowledged_is_sent_again_under_its_id_and_later_each_time(
    context: BrowserContext, site: Site, tracker: Tracker
) -> None:
    tracker.refusals = [Answer(503, "{}"), Answer(502, "no JSON")]
    page = open_page(context, site)
    view = page.evaluate("rt('view')")

    pass_ms(page, GATHER_MS)
    pass_ms(page, 400)
    assert tracker.ids == [view]
    pass_ms(page, 600)
    assert tracker.ids == [view] * 2
    pass_ms(page, 900)
    assert tracker.ids == [view] * 2
    pass_ms(page, 1_100)
    assert tracker.ids == [view] * 3
    pass_ms(page, 120_000)

    assert tracker.ids == [view] * 3
    assert page.evaluate(QUEUED) == 0


def test_retry_after_holds_for_what_is_queued_meanwhile_too(
    context: BrowserContext, site: Site, tracker: Tracker
) -> None:
    tracker.refusals = [Answer(429, "{}", {"retry-after": "30"})]
    page = open_page(context, site)
    first = page.evaluate("rt('view')")
    pass_ms(page, GATHER_MS)

    second = page.evaluate("rt('view')")
    pass_ms(page, 29_000)
    assert tracker.ids == [first]
    pass_ms(page, 2_000)

    assert tracker.ids == [first, first, second]


def test_of_a_batch_only_what_is_not_acknowledged_is_sent_again(
    context: BrowserContext, site: Site, tracker: Tracker
) -> None:
    answer = {"results": [{"index": 1}], "errors": [{"index": 0, "reason": "buffer_full", "detail": ""}]}
    tracker.refusals = [Answer(503, json.dumps(answer))]
    page = open_page(context, site)
    first, second = page.evaluate("[rt('view'), rt('view')]")

    pass_ms(page, GATHER_MS)
    pass_ms(page, 1_000)

    assert tracker.ids == [first, second, first]


def test_what_is_queued_when_a_page_closes_is_sent_by_the_next(
    context: BrowserContext, site: Site, tracker: Tracker
) -> None:
    page = open_page(context, site)
    context.unroute(f"{TRACKER}/beacon")
    context.set_offline(True)
    queued = page.evaluate("[rt('view'), rt('click')]")
    pass_ms(page, GATHER_MS)
    page.close()
    context.set_offline(False)
    context.route(f"{TRACKER}/beacon", tracker.answer)

    pass_ms(open_page(context, site), GATHER_MS)

    assert tracker.ids == queued


def test_the_queue_is_bounded_and_says_so(context: BrowserContext, site: Site, tracker: Tracker) -> None:
    page = open_page(context, site)

    ids = page.evaluate("Array.from({length: 2002}, () => rt('view') || null)")

    assert all(ids[:2000])
    assert ids[2000:] == [None, None]
    pass_ms(page, GATHER_MS)
    assert tracker.ids == ids[:2000]
    assert max(len(json.dumps(items)) for items in tracker.posts) < 64_000


def test_an_event_that_is_too_large_is_not_queued(context: BrowserContext, site: Site) -> None:
    page = open_page(context, site)

    assert page.evaluate("rt('view', {visitor: 'v'.repeat(5000)}) || null") is None


@pytest.mark.parametrize(
    "script",
    [
        FORBIDDEN,
        "Object.defineProperty(window, 'localStorage', {value: null})",
        "localStorage.setItem('full', 'x'.repeat(5242870))",
    ],
    ids=["forbidden", "absent", "full"],
)
def test_where_the_storage_takes_nothing_memory_does(
    context: BrowserContext, site: Site, tracker: Tracker, script: str
) -> None:
    page = open_page(context, site, script=script)

    view = page.evaluate("rt('view')")
    pass_ms(page, GATHER_MS)
    pass_ms(page, 60_000)

    assert tracker.ids == [view]


def test_ids_are_uuids_that_begin_with_the_time_and_are_random_behind_it(
    context: BrowserContext, site: Site, tracker: Tracker
) -> None:
    page = open_page(context, site)

    ids = page.evaluate("Array.from({length: 100}, () => rt('view'))")

    assert all(map(UUID7.match, ids))
    assert len(set(ids)) == 100


def test_tabs_share_one_queue_and_one_of_them_sends(
    context: BrowserContext, site: Site, tracker: Tracker
) -> None:
    tabs = [open_page(context, site) for _ in range(3)]

    queued = [view for tab in tabs for view in tab.evaluate("Array.from({length: 20}, () => rt('view'))")]
    for tab in tabs:
        pass_ms(tab, GATHER_MS)

    assert sorted(tracker.ids) == sorted(queued)


def test_a_browser_without_locks_sends_all_the_same(
    context: BrowserContext, site: Site, tracker: Tracker
) -> None:
    page = open_page(context, site, script="Object.defineProperty(navigator, 'locks', {value: undefined})")

    with page.expect_response("**/beacon"):
        view = page.evaluate("rt('view')")
        page.clock.run_for(GATHER_MS)

    assert tracker.ids == [view]


def test_a_page_that_is_hidden_sends_at_once(context: BrowserContext, site: Site, tracker: Tracker) -> None:
    page = open_page(context, site)
    view = page.evaluate("rt('view')")

    with page.expect_response("**/beacon"):
        page.evaluate("dispatchEvent(new Event('pagehide'))")

    assert tracker.ids == [view]
