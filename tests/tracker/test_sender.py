from ipaddress import ip_address

import pytest
from sanic.compat import Header

from tracker.privacy import Signals
from tracker.sender import Sender, read_sender


def sender(*headers: tuple[str, str], cookie: str | None = None, proxy_hops: int = 0) -> Sender:
    return read_sender(Header(headers), peer="10.0.0.9", cookie=cookie, proxy_hops=proxy_hops)


def test_a_sender_is_what_its_request_says() -> None:
    said = sender(
        ("User-Agent", "curl/8"), ("Referer", "https://news.example/a"), ("Sec-GPC", "1"), cookie="visitor-1"
    )

    assert said == Sender(
        address=ip_address("10.0.0.9"),
        user_agent="curl/8",
        referrer="https://news.example/a",
        visitor="visitor-1",
        signals=Signals(global_privacy_control=True),
    )


def test_of_several_lines_of_a_header_the_last_is_the_nearest_proxys() -> None:
    lines = (("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "203.0.113.7"))

    assert sender(*lines, proxy_hops=1).address == ip_address("203.0.113.7")
    assert sender(*lines).address == ip_address("10.0.0.9")


@pytest.mark.parametrize(
    ("name", "value", "signals"),
    [
        ("DNT", "1", Signals(do_not_track=True)),
        ("dnt", "0", Signals()),
        ("DNT", "", Signals()),
        ("DNT", "null", Signals()),
        ("Sec-GPC", "1", Signals(global_privacy_control=True)),
        ("sec-gpc", "0", Signals()),
        ("Sec-GPC", "true", Signals()),
    ],
)
def test_signals_are_given_as_their_standards_say(name: str, value: str, signals: Signals) -> None:
    assert sender((name, value)).signals == signals


@pytest.mark.parametrize(
    ("name", "value", "prefetches"),
    [
        ("Sec-Purpose", "prefetch", True),
        ("Sec-Purpose", "prefetch;prerender", True),
        ("Sec-Purpose", "prefetch; anonymous-client-ip", True),
        ("Purpose", "prefetch", True),
        ("Purpose", "Prefetch", True),
        ("X-Purpose", "preview", True),
        ("X-Moz", "prefetch", True),
        ("Sec-Purpose", "", False),
        ("Sec-Purpose", "prefetched", False),
        ("Purpose", "navigation", False),
    ],
)
def test_a_page_that_nobody_asked_for_yet_says_so(name: str, value: str, prefetches: bool) -> None:
    assert sender((name, value)).prefetches is prefetches


@pytest.mark.parametrize(("header", "read"), [("a" * 5_000, "a" * 1_024), ("a\ud8ffb", "a?b"), ("", "")])
def test_an_odd_header_is_cut_and_made_storable(header: str, read: str) -> None:
    assert sender(("User-Agent", header)).user_agent == read
