"""The live page in a real browser, on the running stack: what it shows is so, whatever happens."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from schemas.programs import Totals
from tests.browser.live import PHONE, TOKEN, WAIT_MS, Line, LivePage, live_page
from tests.system.conftest import Stack, running_stack, until

EVENTS = 5_000
BATCH = 500
NOTHING = "\N{EN DASH}"
BODY: dict[str, Any] = {"name": "first", "customerId": 9124, "customerName": "Customer2", "checksum": "124"}

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of its own: with a token."""
    with running_stack(tmp_path_factory.mktemp("stack"), ADMIN_TOKEN=TOKEN) as stack:
        for tracker in stack.trackers:
            tracker.headers["authorization"] = f"Bearer {TOKEN}"
        assert stack.trackers[0].post("/cache/fill").status_code == 200
        yield stack


def test_its_numbers_are_those_of_the_table_after_5000_events(browser: Browser, stack: Stack) -> None:
    program_id = new_program(stack, budget=10_000)
    with live_page(browser, stack.file.trackers[0]) as live:
        live.find(program_id)
        live.shows(program_id, views="0")

        post(stack, program_id, EVENTS)
        until(lambda: stack.totals(program_id).stored == EVENTS, timeout_s=60)

        totals = stack.totals(program_id)
        assert totals == Totals(views=3_500, clicks=1_000, conversions=250, invalid=250)
        live.shows(program_id, views="3,500", clicks="1,000", conversions="250", ctr="28.57%", cvr="25.00%")
        live.shows(program_id, budget="5,250")
        live.row(program_id).click()
        expect(live.page.locator("#detail-figures")).to_contain_text("Did not count250")


def test_a_program_changed_on_the_other_tracker_changes_on_the_page(browser: Browser, stack: Stack) -> None:
    program_id = new_program(stack)
    with live_page(browser, stack.file.trackers[0]) as live:
        live.find(program_id)
        live.shows(program_id, state="Counting")
        live.page.evaluate("window.loadedOnce = true")

        put(stack, 1, program_id, name="Autumn sale", active=False)

        live.shows(program_id, state="Paused")
        expect(live.row(program_id).locator("b")).to_have_text("Autumn sale")
        told = live.page.locator("#changes-list li").first
        expect(told.locator("b")).to_have_text("Autumn sale")
        expect(told.locator("span")).to_contain_text("all 2 tasks after")
        assert live.page.evaluate("window.loadedOnce")


def test_a_new_program_appears_and_a_deleted_one_goes(browser: Browser, stack: Stack) -> None:
    with live_page(browser, stack.file.trackers[0]) as live:
        program_id = new_program(stack)
        live.find(program_id)
        expect(live.row(program_id)).to_be_visible()

        assert stack.trackers[1].delete(f"/programs/{program_id}?wait=true").status_code == 200

        expect(live.row(program_id)).to_have_count(0)
        expect(live.page.locator("#empty-title")).to_have_text("No program is like that")


def test_a_stream_that_is_cut_is_said_to_be_and_catches_up(browser: Browser, stack: Stack) -> None:
    program_id = new_program(stack)
    with Line(stack.file.trackers[0]) as line, live_page(browser, line.cable.url) as live:
        live.find(program_id)
        live.shows(program_id, views="0")

        line.do(line.cable.cut())
        expect(live.page.locator("#link")).to_contain_text("Connection lost at")
        post(stack, program_id, BATCH)
        until(lambda: stack.totals(program_id).stored == BATCH, timeout_s=30)
        live.shows(program_id, views="0")
        line.do(line.cable.heal())

        live.is_live()
        live.shows(program_id, views="350")


def test_a_connection_that_carries_nothing_is_noticed(browser: Browser, stack: Stack) -> None:
    with Line(stack.file.trackers[0]) as line, live_page(browser, line.cable.url) as live:
        line.cable.stall()
        expect(live.page.locator("#link")).to_contain_text("Connection lost at", timeout=WAIT_MS)
        line.do(line.cable.cut())
        line.do(line.cable.heal())

        live.is_live()


def test_a_program_is_paused_and_resumed_by_keyboard_alone(browser: Browser, stack: Stack) -> None:
    program_id = new_program(stack)
    with live_page(browser, stack.file.trackers[0]) as live:
        press_to(live.page, "#admin", "Tab")
        live.page.keyboard.press("Enter")
        live.page.keyboard.type(TOKEN)
        live.page.keyboard.press("Enter")
        expect(live.page.locator("#admin")).to_have_text("Lock")
        press_to(live.page, "#search", "Tab")
        live.page.keyboard.type(program_id)
        press_to(live.page, "#grid", "Tab")
        live.page.keyboard.press("p")
        live.shows(program_id, state="Paused")
        applied_by_all(live, "Pause first")

        live.page.keyboard.press("Enter")
        expect(live.page.locator("#detail-title")).to_be_focused()
        press_to(live.page, "#pause", "Tab")
        live.page.keyboard.press("Enter")
        live.shows(program_id, state="Counting")
        applied_by_all(live, "Resume first")
        live.page.keyboard.press("Escape")
        expect(live.page.locator("#grid")).to_be_focused()
        expect(live.page.locator("#detail")).to_be_hidden()

    assert stack.trackers[1].get(f"/programs/{program_id}").json()["program"]["active"] is True


def test_a_budget_is_changed_and_says_what_it_will_do(browser: Browser, stack: Stack) -> None:
    program_id = new_program(stack)
    post(stack, program_id, BATCH)
    until(lambda: stack.totals(program_id).stored == BATCH, timeout_s=30)
    with live_page(browser, stack.file.trackers[0]) as live:
        live.unlock()
        live.find(program_id)
        live.shows(program_id, views="350", budget=NOTHING)
        live.row(program_id).click()
        live.page.click("#budget")
        live.page.fill("#budget-value", "100")
        expect(live.page.locator("#budget-warning")).to_contain_text("stops counting")
        live.page.fill("#budget-value", "1000")
        live.page.keyboard.press("Enter")

        live.shows(program_id, budget="525")
        applied_by_all(live, "Budget first")
    assert stack.trackers[1].get(f"/programs/{program_id}").json()["program"]["budget"] == 1_000


def test_a_purge_asks_first_and_is_applied_by_every_task(browser: Browser, stack: Stack) -> None:
    with live_page(browser, stack.file.trackers[0]) as live:
        live.unlock()
        live.page.click("#purge")
        live.page.locator("#ask-dialog [data-close]").click()
        expect(live.page.locator("#sent")).to_be_hidden()

        live.page.click("#purge")
        live.page.click("#ask-yes")

        applied_by_all(live, "Purge")
        live.page.click("#fill")
        applied_by_all(live, "Samples")


def test_what_somebody_changed_meanwhile_is_said_before_it_is_changed_again(
    browser: Browser, stack: Stack
) -> None:
    program_id = new_program(stack)
    with live_page(browser, stack.file.trackers[0]) as live:
        live.unlock()
        live.find(program_id)
        live.row(program_id).click()
        live.page.route("**/programs/*", lambda route: changed_first(route, stack, program_id), times=1)
        live.page.click("#pause")

        expect(live.page.locator("#ask-text")).to_contain_text("changed name meanwhile")
        live.page.click("#ask-yes")

        applied_by_all(live, "Pause")
    after = stack.trackers[1].get(f"/programs/{program_id}").json()["program"]
    assert (after["name"], after["active"]) == ("second", False)


def test_who_is_behind_and_what_failed_is_said_once_it_is_known(browser: Browser, stack: Stack) -> None:
    program_id = new_program(stack)
    with live_page(browser, stack.file.trackers[0]) as live:
        expect(live.page.locator("#failures-count")).to_have_text("none")
        expect(live.page.locator("#failures-hint")).to_be_hidden()
        post(stack, program_id, BATCH)
        for reader in ("persist · stores", "refresh · applies", "tally", "matcher", "guard", "budgets"):
            row = live.page.locator("#readers tr").filter(has_text=reader)
            expect(row).to_have_attribute("data-state", "good")
            expect(row.locator("td").nth(1)).to_have_text(re.compile(r"^[\d.]+ m?s$"))

        stack.kinesis.put_record(StreamName=stack.file.event_stream, Data=b"\x7f", PartitionKey="poison")

        expect(live.page.locator("#failures")).to_have_attribute("data-state", "bad")
        expect(live.page.locator("#failures-hint")).to_contain_text("python -m workers failed list")
        assert live.violations() == []


def test_a_wrong_token_is_refused_and_nothing_is_unlocked(browser: Browser, stack: Stack) -> None:
    with live_page(browser, stack.file.trackers[0]) as live:
        live.page.click("#admin")
        live.page.fill("#token", "guessed")
        live.page.keyboard.press("Enter")

        expect(live.page.locator("#token-error")).to_have_text("This is not the token.")
        live.page.keyboard.press("Escape")
        expect(live.page.locator("#fill")).to_be_hidden()


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"color_scheme": "light"}, id="light"),
        pytest.param({"color_scheme": "dark"}, id="dark"),
        pytest.param(PHONE | {"color_scheme": "light"}, id="phone"),
        pytest.param(PHONE | {"color_scheme": "dark"}, id="phone in the dark"),
    ],
)
def test_axe_finds_no_serious_violation(browser: Browser, stack: Stack, options: dict[str, Any]) -> None:
    with live_page(browser, stack.file.trackers[0], **options) as live:
        live.unlock()
        assert live.violations() == []

        live.row("212313").click()
        live.page.locator("#detail summary").first.click()
        assert live.violations() == []

        live.page.click("#budget")
        assert live.violations() == []


def changed_first(route: Route, stack: Stack, program_id: str) -> None:
    """Lets a request through once somebody else has changed the program."""
    put(stack, 0, program_id, name="second")
    route.continue_()


def press_to(page: Page, selector: str, key: str) -> None:
    """Presses a key until what is meant has the focus."""
    for _ in range(40):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{selector} cannot be reached with {key}")


def applied_by_all(live: LivePage, what: str) -> None:
    sent = live.page.locator("#sent-list li").filter(has_text=what).first
    expect(sent.locator("span")).to_contain_text("by all 2 tasks after", timeout=WAIT_MS)


def new_program(stack: Stack, **fields: Any) -> str:
    program_id = f"live-{uuid4().hex[:8]}"
    put(stack, 0, program_id, **fields)
    return program_id


def put(stack: Stack, tracker: int, program_id: str, **fields: Any) -> None:
    answer = stack.trackers[tracker].put(f"/programs/{program_id}?wait=true", json=BODY | fields)
    assert answer.status_code == 200


def post(stack: Stack, program_id: str, count: int) -> None:
    """Events by both trackers: of twenty 14 views, 4 clicks, one conversion and one that does not count."""
    kinds = ["view"] * 14 + ["click"] * 4 + ["conversion", "invalid"]
    events = [event(program_id, kinds[number % len(kinds)]) for number in range(count)]
    for start in range(0, count, BATCH):
        tracker = stack.trackers[start // BATCH % 2]
        assert tracker.post("/events", json=events[start : start + BATCH]).json()["accepted"] == BATCH


def event(program_id: str, kind: str) -> dict[str, str]:
    made = {"programId": program_id, "messageId": str(uuid4()), "visitor": uuid4().hex}
    return made | ({"kind": "view", "checksum": "wrong"} if kind == "invalid" else {"kind": kind})
