import hmac
from base64 import b64decode
from hashlib import blake2b
from http.cookies import SimpleCookie

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import NOW_MS
from tracker.visitors import DAY_MS, VisitorHashes, new_visitor, visitor_cookie, visitor_from_cookie

SECRET = b"0123456789abcdef0123456789abcdef"
MIDNIGHT_MS = NOW_MS // DAY_MS * DAY_MS


def hashed(
    visitor: str = "visitor-1", *, secret: bytes = SECRET, program_id: str = "1", now_ms: int = NOW_MS
) -> str:
    return VisitorHashes(secret).of(visitor, program_id=program_id, now_ms=now_ms)


def test_golden_hash() -> None:
    assert hashed(program_id="212313") == "fvBf1wRkBY7BxxJbagq88A"


@given(st.text(st.characters(codec="utf-8"), max_size=256), st.integers(0, 10**13))
def test_a_hash_is_what_the_guide_to_privacy_says(visitor: str, now_ms: int) -> None:
    salt = hmac.digest(SECRET, f"visitor-salt:{now_ms // DAY_MS}".encode(), "sha256")
    digest = blake2b(f"1\0{visitor}".encode(), key=salt, digest_size=16).digest()

    assert b64decode(hashed(visitor, now_ms=now_ms) + "==", altchars="-_") == digest


def test_every_task_with_the_secret_makes_the_same_hash_all_day() -> None:
    first, second = VisitorHashes(SECRET), VisitorHashes(SECRET)

    hashes = {
        each.of("visitor-1", program_id="1", now_ms=MIDNIGHT_MS + after_ms)
        for each in (first, second)
        for after_ms in (0, 1, DAY_MS // 2, DAY_MS - 1)
    }

    assert len(hashes) == 1


def test_another_day_program_visitor_or_secret_makes_another_hash() -> None:
    others = [
        hashed(now_ms=MIDNIGHT_MS + DAY_MS),
        hashed(now_ms=MIDNIGHT_MS - 1),
        hashed(program_id="2"),
        hashed("visitor-2"),
        hashed(secret=SECRET[::-1]),
    ]

    assert len({hashed(), *others}) == 6


def test_a_task_goes_on_past_midnight_and_takes_a_late_event_of_yesterday() -> None:
    hashes = VisitorHashes(SECRET)

    seen = [
        hashes.of("visitor-1", program_id="1", now_ms=now_ms)
        for now_ms in (MIDNIGHT_MS - 1, MIDNIGHT_MS, MIDNIGHT_MS - 1)
    ]

    assert seen[0] == seen[2] != seen[1]


def test_a_program_and_a_visitor_cannot_be_put_together_otherwise() -> None:
    assert hashed("1visitor", program_id="1") != hashed("visitor", program_id="11")


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=256))
def test_a_hash_is_22_harmless_characters_and_holds_nothing_of_the_visitor(visitor: str) -> None:
    made = hashed(visitor)

    assert len(made) == 22
    assert all(character.isascii() and (character.isalnum() or character in "-_") for character in made)
    assert len(visitor) < 4 or visitor not in made


def test_a_new_visitor_is_like_no_other() -> None:
    names = {new_visitor() for _ in range(1_000)}

    assert len(names) == 1_000
    assert all(visitor_from_cookie(name) == name for name in names)


@pytest.mark.parametrize("value", [None, "", "v" * 257, "a\nb", "a\x00", "ä", "\ud800"])
def test_a_cookie_that_was_never_set_names_nobody(value: str | None) -> None:
    assert visitor_from_cookie(value) is None


def test_the_cookie_is_for_this_site_alone_and_out_of_reach_of_scripts() -> None:
    (cookie,) = SimpleCookie(visitor_cookie("visitor", "name-1", max_age_s=60)).values()

    assert (cookie.key, cookie.value, cookie["max-age"], cookie["path"]) == ("visitor", "name-1", "60", "/")
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"]) == (True, True, "Lax")
    assert cookie["domain"] == ""
