"""How long a number on the page is behind its event: from POST to the screen. Prints, asserts no time."""

import statistics
from collections.abc import Iterator
from uuid import uuid4

import pytest
from playwright.sync_api import Browser

from tests.browser.live import live_page
from tests.system.conftest import Stack, running_stack

SAMPLES = 40
BODY = {"name": "delay", "customerId": 1, "customerName": "c", "checksum": "1"}
WATCH = """
(id) => new Promise((resolve) => {
  const cell = document.querySelector(`#rows .row[data-id="${id}"] .c-views`)
  const before = cell.textContent
  const startMs = performance.now()
  new MutationObserver((_, observer) => {
    if (cell.textContent === before) return
    observer.disconnect()
    requestAnimationFrame(() => resolve(performance.now() - startMs))
  }).observe(cell, { childList: true, characterData: true, subtree: true })
  fetch(`/event/${id}`, { method: 'POST' })
})
"""

pytestmark = [pytest.mark.bench, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


def test_from_post_to_the_number_on_the_page(browser: Browser, stack: Stack) -> None:
    program_id = f"delay-{uuid4().hex[:8]}"
    assert stack.trackers[1].put(f"/programs/{program_id}?wait=true", json=BODY).status_code == 200
    with live_page(browser, stack.file.trackers[0], user_agent="curl/8.5.0") as live:
        live.shows(program_id, views="0")
        delays_ms = sorted(live.page.evaluate(WATCH, program_id) for _ in range(SAMPLES))

    p95_ms = delays_ms[int(len(delays_ms) * 0.95)]
    print(f"\nPOST to page: median {statistics.median(delays_ms):.0f} ms, p95 {p95_ms:.0f} ms, n {SAMPLES}")
    assert len(delays_ms) == SAMPLES
