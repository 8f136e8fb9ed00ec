"""Clicks and partners' conversions on the real stack, signed as docs/ways-in.md says."""

import shutil
import subprocess
import sys
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from schemas.programs import Totals
from tests.system.conftest import ROOT, Stack, until
from tracker.signatures import postback_text, sign

EXAMPLES = ROOT / "docs" / "examples"
LANDING = "https://shop.example/landing?c={click_id}"


class Shop:
    """A program of its own, and its partner's key."""

    def __init__(self, stack: Stack) -> None:
        self.id = f"shop-{uuid4().hex[:8]}"
        self.tracker = stack.trackers[0]
        body = {"name": "s", "customerId": 1, "customerName": "c", "checksum": "1", "destination": LANDING}
        self.tracker.put(f"/programs/{self.id}?wait=true", json=body).raise_for_status()
        self.key: str = self.tracker.get(f"/programs/{self.id}/key").json()["key"]

    def signed(self, *, key: str | None = None, **parameters: Any) -> dict[str, str]:
        given = {"transaction": "order-1", "clickId": "c-1", "timestamp": int(time.time())} | parameters
        texts = {name: str(value) for name, value in given.items()}
        return texts | {"signature": sign(key or self.key, postback_text(self.id, texts))}

    def report(self, parameters: dict[str, str], *, method: str = "GET") -> Any:
        return self.tracker.request(method, f"/postback/{self.id}", params=parameters).json()


def test_of_calls_for_one_transaction_one_is_stored_and_the_others_answered_by_reason(stack: Stack) -> None:
    shop = Shop(stack)
    call = shop.signed(value="49.90", currency="EUR")
    stale = int(time.time()) - 301

    first = shop.report(call)
    again = [
        shop.report(call),
        shop.report(call, method="POST"),
        shop.report(shop.signed(value="1.00", currency="USD")),
    ]
    refused = [
        shop.report(call | {"value": "4990"}),
        shop.report(shop.signed(key="another")),
        shop.report(shop.signed(timestamp=stale)),
        shop.report(shop.signed(transaction="")),
    ]
    shop.report(shop.signed(transaction="the last"))

    assert again == [first] * 3
    assert [answer["reason"] for answer in refused] == [
        "bad_signature",
        "bad_signature",
        "expired_signature",
        "malformed",
    ]
    until(lambda: stack.totals(shop.id).stored >= 2, timeout_s=10)
    assert stack.totals(shop.id) == Totals(conversions=2)
    item = stack.stored(shop.id, first["messageId"])
    assert (item["value"], item["currency"]) == ({"N": "49.90"}, {"S": "EUR"})


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_examples_sign_a_link_and_the_conversion_of_its_click(stack: Stack) -> None:
    shop = Shop(stack)
    url = f"{stack.file.trackers[0]}"
    elsewhere = "https://partner.example/p?c={click_id}"

    link = run(sys.executable, str(EXAMPLES / "link.py"), url, shop.id, shop.key, elsewhere).strip()
    location = shop.tracker.get(link).headers["location"]
    (click_id,) = parse_qs(urlsplit(location).query)["c"]
    postback = [str(EXAMPLES / "postback.sh"), url, shop.id, shop.key, "order-1", click_id, "49.90", "EUR"]
    answers = [run(*postback) for _ in range(2)]

    assert location == f"https://partner.example/p?c={click_id}"
    assert '"valid":true' in answers[0]
    assert answers[0] == answers[1]
    until(lambda: stack.totals(shop.id) == Totals(clicks=1, conversions=1), timeout_s=10)


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
