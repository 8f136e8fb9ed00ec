"""`python -m tests.browser.screenshots`: pictures of the live page for the documents, with load on.

The stack is the real one, and so are the events of the last half minute. The quarter of an hour before is
not waited for but written where `persist` and the agent `tally` would have written it.
"""

import asyncio
import math
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
from playwright.sync_api import Browser, sync_playwright

from schemas.dynamodb import LaneTotals, lane_item
from schemas.minutes import MINUTE_MS, Minute
from schemas.programs import Totals
from schemas.redis import PUBLISH_IF_MORE, minute_change
from tests.browser.conftest import CHROMIUM
from tests.browser.live import DESKTOP, PHONE, TOKEN, LivePage
from tests.system.conftest import ROOT, Stack, running_stack
from tracker.live.recent import starts
from tracker.services import clock_ms

LOAD_MS = 20_000
TICK_S = 0.2
DAY_MS = 86_400_000
DOCS = ROOT / "docs"


class Campaign(NamedTuple):
    """A program, and how many events come for it in a second."""

    name: str
    customer: str
    per_s: float
    fields: dict[str, Any]


CAMPAIGNS = (
    Campaign("Autumn sale", "Nordhaus", 34, {"budget": 60_000}),
    Campaign("Espresso machines", "Blue Harbour", 27, {}),
    Campaign("City bikes", "Fjell Sport", 22, {"budget": 25_000}),
    Campaign("Running shoes", "Fjell Sport", 18, {}),
    Campaign("Standing desks", "Kestrel & Co", 13, {"budget": 40_000}),
    Campaign("Winter boots", "Nordhaus", 11, {"budget": 18_000}),
    Campaign("Linen shirts", "Olio", 8, {}),
    Campaign("Garden lights", "Blue Harbour", 6, {"budget": 9_000}),
    Campaign("Sound bars", "Marlow", 5, {}),
    Campaign("Trail packs", "Fjell Sport", 3.5, {"budget": 20_000}),
    Campaign("Ceramic pans", "Olio", 2.5, {}),
    Campaign("Night lamps", "Marlow", 1.2, {}),
    Campaign("Rain jackets", "Nordhaus", 0.6, {"budget": 5_000}),
    Campaign("Summer tents", "Fjell Sport", 0, {"endsAtMs": -3 * DAY_MS}),
    Campaign("Board games", "Marlow", 0, {"startsAtMs": 5 * DAY_MS}),
    Campaign("Tea sets", "Olio", 0, {"active": False}),
)


def main() -> None:
    choose = random.Random(7)
    with tempfile.TemporaryDirectory() as folder, running_stack(Path(folder), ADMIN_TOKEN=TOKEN) as stack:
        for number, campaign in enumerate(CAMPAIGNS):
            make(stack, str(212_312 + number), campaign)
            remember(stack, str(212_312 + number), campaign, choose)
        with under_load(stack, choose), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            take(browser, stack)
            browser.close()


def take(browser: Browser, stack: Stack) -> None:
    origin = stack.file.trackers[0]
    with (
        browser.new_context(**DESKTOP, color_scheme="light", device_scale_factor=1.5) as desktop,
        browser.new_context(**PHONE, color_scheme="dark") as phone,
    ):
        live, small = LivePage(desktop.new_page(), origin), LivePage(phone.new_page(), origin)
        live.open()
        small.open()
        live.unlock()
        live.row("212314").click()
        live.page.wait_for_timeout(LOAD_MS)
        for _ in range(2):
            live.page.click("#pause")
            live.page.wait_for_timeout(2_000)
        live.page.screenshot(path=DOCS / "live-desktop.png")
        small.page.screenshot(path=DOCS / "live-phone-dark.png")


def make(stack: Stack, program_id: str, campaign: Campaign) -> None:
    times = {name: clock_ms() + value for name, value in campaign.fields.items() if name.endswith("AtMs")}
    body = {
        "name": campaign.name,
        "customerId": 9_000 + len(campaign.customer),
        "customerName": campaign.customer,
        "checksum": "124",
        "destination": f"https://shop.example/{campaign.name.lower().replace(' ', '-')}?click={{click_id}}",
    }
    answer = stack.trackers[0].put(
        f"/programs/{program_id}?wait=true",
        json=body | campaign.fields | times,
        headers={"authorization": f"Bearer {TOKEN}"},
    )
    assert answer.status_code == 200


def remember(stack: Stack, program_id: str, campaign: Campaign, choose: random.Random) -> None:
    """The minutes until now, and the totals that they come to."""
    totals = Totals()
    now_ms = clock_ms()
    for number, start_ms in enumerate(starts(now_ms)):
        wave = 0.8 + 0.25 * math.sin(number / 3 + campaign.per_s) + 0.1 * choose.random()
        events = int(campaign.per_s * wave * min(MINUTE_MS, now_ms - start_ms) / 1_000)
        clicks, conversions, invalid = int(events * 0.06), int(events * 0.005), int(events * 0.02)
        views = events - clicks - conversions - invalid
        minute = Minute(
            views=views, clicks=clicks, conversions=conversions, invalid=invalid, visitors=int(views * 0.6)
        )
        totals += Totals(views=views, clicks=clicks, conversions=conversions, invalid=invalid)
        change = minute_change(stack.file.redis_channel, program_id, start_ms, str(uuid4()), minute)
        stack.redis.eval(PUBLISH_IF_MORE, len(change.keys), *change.keys, *change.args)
    item = lane_item(program_id, "before:0", LaneTotals("1", totals))
    stack.dynamodb.put_item(TableName=stack.file.totals_table, Item=item)


@contextmanager
def under_load(stack: Stack, choose: random.Random) -> Iterator[None]:
    """Events come, until it is left."""
    done = Event()
    thread = Thread(target=lambda: asyncio.run(load(stack.file.trackers, done, choose)))
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


async def load(trackers: list[str], done: Event, choose: random.Random) -> None:
    async with httpx.AsyncClient() as client:
        next_s, turn = time.monotonic(), 0
        while not done.is_set():
            batch = [
                event(str(212_312 + number), choose)
                for number, campaign in enumerate(CAMPAIGNS)
                for _ in range(int(campaign.per_s * TICK_S + choose.random()))
                if campaign.per_s
            ]
            await client.post(f"{trackers[turn % 2]}/events", json=batch)
            next_s, turn = next_s + TICK_S, turn + 1
            await asyncio.sleep(max(0, next_s - time.monotonic()))


def event(program_id: str, choose: random.Random) -> dict[str, str]:
    kind = choose.choices(("view", "click", "conversion"), (93, 6.5, 0.5))[0]
    checksum = "wrong" if choose.random() < 0.02 else "124"
    visitor = f"visitor-{choose.randrange(4_000)}"
    return {"programId": program_id, "kind": kind, "checksum": checksum, "visitor": visitor}


if __name__ == "__main__":
    main()
