"""The live page as a person sees it, and what it asked the network for."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, expect

from tests.cable import Cable
from tests.system.conftest import ROOT

WAIT_MS = 20_000
TOKEN = "secret"
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2}
DESKTOP: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"

Value = TypeVar("Value")


class LivePage:
    """A tab with the page; `asked` are the URLs that it loaded, `wrong` what its scripts complained of."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.origin = origin
        self.asked: list[str] = []
        self.wrong: list[str] = []
        page.set_default_timeout(WAIT_MS)
        page.on("request", self._ask)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("console", self._complain)

    def _ask(self, request: Request) -> None:
        self.asked.append(request.url)

    def _complain(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.wrong.append(message.text)

    def open(self) -> None:
        self.page.goto(f"{self.origin}/live")
        self.is_live()

    def is_live(self) -> None:
        expect(self.page.locator("#link")).to_have_text("Live", timeout=WAIT_MS)

    def find(self, text: str) -> None:
        self.page.fill("#search", text)

    def row(self, program_id: str) -> Locator:
        return self.page.locator(f'#rows .row[data-id="{program_id}"]:visible')

    def shows(self, program_id: str, **cells: str) -> None:
        """The program's row comes to have these texts, by the name of the column."""
        for column, text in cells.items():
            expect(self.row(program_id).locator(f".c-{column}")).to_have_text(text, timeout=WAIT_MS)

    def unlock(self) -> None:
        self.page.click("#admin")
        self.page.fill("#token", TOKEN)
        self.page.keyboard.press("Enter")
        expect(self.page.locator("#admin")).to_have_text("Lock")

    def violations(self) -> list[tuple[str, str, Any]]:
        """What axe-core finds that is serious or worse."""
        if not AXE.exists():
            pytest.skip("no axe-core here; npm ci brings it")
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate("axe.run(document)")
        return [
            (each["impact"], each["id"], [node["target"] for node in each["nodes"]])
            for each in found["violations"]
            if each["impact"] in ("serious", "critical")
        ]


@contextmanager
def live_page(browser: Browser, origin: str, **options: Any) -> Iterator[LivePage]:
    """The page, open. In the end it has asked nobody but `origin`, and its scripts have not failed."""
    with browser.new_context(**(DESKTOP | options)) as context:
        live = LivePage(context.new_page(), origin)
        live.open()
        yield live
        assert [url for url in live.asked if not url.startswith(f"{origin}/")] == []
        assert live.wrong == []


class Line:
    """A cable that is laid in a thread of its own, to be cut from a test that waits for a browser."""

    def __init__(self, target: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self.cable = Cable(target)

    def __enter__(self) -> "Line":
        self._thread.start()
        self.do(self.cable.lay())
        return self

    def __exit__(self, *_: object) -> None:
        self.do(self.cable.cut())
        self.do(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def do(self, step: Coroutine[Any, Any, Value]) -> Value:
        return asyncio.run_coroutine_threadsafe(step, self._loop).result(10)
