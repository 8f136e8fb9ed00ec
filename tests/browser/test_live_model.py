"""What the live page makes of what it is told, in a browser whose clock the test turns, without a tracker."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

MODULES = Path(__file__).resolve().parents[2] / "tracker" / "static" / "live"
ORIGIN = "http://live.example"
PROGRAMS = 3
PER_S = 64
RUN = """
async ({ programs, perS, everyMs, moments }) => {
  const { Model } = await import('/model.js')
  let nowMs = 1_000
  performance.now = () => nowMs
  Date.now = () => nowMs
  const model = new Model()
  const take = (kind, data) => { for (const _ of model.take(kind, { atMs: nowMs, ...data })); }
  take('snapshot', { state: [{ linked: true, reading: false }] })
  const found = []
  for (const startMs = nowMs; moments.length; nowMs += 50) {
    for (let program = 0; program < programs; program++) {
      const phaseMs = (program * everyMs) / programs
      if ((nowMs - startMs) % everyMs !== Math.floor(phaseMs / 50) * 50) continue
      take('change', { totals: [[`p${program}`, Math.round(((nowMs - startMs) * perS) / 1_000), 0, 0, 0]] })
    }
    if (nowMs - startMs < moments[0]) continue
    moments.shift()
    found.push([model.rate.at(nowMs), [...model.rows.values()].map((row) => row.rate.at(nowMs))])
  }
  return found
}
"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context() as context:
        page = context.new_page()
        page.route(f"{ORIGIN}/**", serve)
        page.goto(f"{ORIGIN}/")
        yield page


def serve(route: Route) -> None:
    name = route.request.url.rpartition("/")[2]
    if name:
        route.fulfill(body=(MODULES / name).read_text(), content_type="text/javascript")
    else:
        route.fulfill(body="<!doctype html>", content_type="text/html")


def rates(page: Page, every_ms: int, *moments_ms: int) -> Any:
    """At each moment: of all programs together, and of each."""
    given = {"programs": PROGRAMS, "perS": PER_S, "everyMs": every_ms, "moments": [*moments_ms]}
    return page.evaluate(RUN, given)


@pytest.mark.parametrize("every_ms", [300, 900, 1_500])
def test_the_rate_of_all_is_the_sum_of_the_programs_rates_from_the_first_on(
    page: Page, every_ms: int
) -> None:
    found = rates(page, every_ms, 5_000, 7_000, 9_000, 12_000, 15_000, 20_000, 29_000)

    for together, each in found:
        assert together == pytest.approx(PROGRAMS * PER_S, rel=0.2)
        assert together == pytest.approx(sum(each), rel=0.2)
    assert sum(together for together, _ in found) == pytest.approx(
        sum(sum(each) for _, each in found), rel=0.1
    )


def test_before_enough_was_seen_no_rate_is_said(page: Page) -> None:
    ((together, each),) = rates(page, 300, 2_500)

    assert together is None
    assert each == [None] * PROGRAMS
