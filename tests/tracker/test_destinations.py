"""Destinations filled with what a click gives, and with what an attacker would like it to give."""

from urllib.parse import parse_qs, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.destinations import fill

VALUES = {"click_id": "c-1", "program_id": "212313", "visitor": "a/b?c&d=e#f g%é"}
ENCODED = "a%2Fb%3Fc%26d%3De%23f%20g%25%C3%A9"


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("https://shop.example", "https://shop.example?click_id=c-1"),
        ("https://shop.example/a?b=c#d", "https://shop.example/a?b=c&click_id=c-1#d"),
        ("https://shop.example/{click_id}", "https://shop.example/c-1"),
        ("https://shop.example/?c={click_id}&c={click_id}", "https://shop.example/?c=c-1&c=c-1"),
        ("https://shop.example/#{click_id}", "https://shop.example/#c-1"),
        ("https://shop.example/{visitor}", f"https://shop.example/{ENCODED}?click_id=c-1"),
        ("https://shop.example/?v={visitor}", f"https://shop.example/?v={ENCODED}&click_id=c-1"),
        ("https://shop.example/{program_id}?{click_id}", "https://shop.example/212313?c-1"),
        ("https://shop.example/ü?a=%20'\"<", "https://shop.example/%C3%BC?a=%20'%22%3C&click_id=c-1"),
        ("https://[2001:db8::1]:8443/a", "https://[2001:db8::1]:8443/a?click_id=c-1"),
        ("https://shop.example/../a", "https://shop.example/../a?click_id=c-1"),
    ],
)
def test_macros_are_filled_and_the_click_id_is_never_missing(template: str, filled: str) -> None:
    assert fill(template, VALUES) == filled


def test_a_macro_without_a_value_is_filled_with_nothing() -> None:
    assert fill("https://shop.example/?v={visitor}&c={click_id}", {"click_id": "c", "visitor": None}) == (
        "https://shop.example/?v=&c=c"
    )


@pytest.mark.parametrize(
    ("visitor", "path"), [(".", "/a//b"), ("..", "/a//b"), ("...", "/a/.../b"), ("%2e%2e", "/a/%252e%252e/b")]
)
def test_a_value_that_would_be_a_step_up_the_path_is_left_out_of_it(visitor: str, path: str) -> None:
    filled = fill("https://shop.example/a/{visitor}/b?v={visitor}", VALUES | {"visitor": visitor})

    assert urlsplit(filled).path == path
    assert parse_qs(urlsplit(filled).query)["v"] == [visitor]


@given(st.text(), st.text(), st.sampled_from(["/x/{}", "/?x={}", "?{}&y", "/#{}", "/{}/{}?{}#{}"]))
def test_no_value_leaves_its_place(visitor: str, click_id: str, shape: str) -> None:
    template = "https://shop.example" + shape.replace("{}", "{visitor}")

    filled = fill(template, {"visitor": visitor, "click_id": click_id})

    assert filled.isascii() and filled.isprintable() and " " not in filled
    parts = urlsplit(filled)
    assert (parts.scheme, parts.netloc) == ("https", "shop.example")
    assert parts.path.count("/") == urlsplit(template).path.count("/")
    assert parts.query.endswith(f"click_id={quote(click_id, safe='')}")
