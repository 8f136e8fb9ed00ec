"""Signatures under derived keys, and what a postback's covers."""

import hashlib
import hmac
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.signatures import is_signed, postback_text, program_key, sign, valid_keys

SECRET = "s" * 32
ID = "212313"


def test_a_key_is_told_apart_by_secret_program_and_version() -> None:
    keys = {
        program_key(secret, program_id, version)
        for secret in (SECRET, "other")
        for program_id in (ID, "212314")
        for version in (1, 2)
    }

    assert len(keys) == 8
    assert program_key(SECRET, ID, 1) == program_key(SECRET, ID, 1)


def test_a_signature_is_a_plain_hmac_as_base64url() -> None:
    digest = hmac.new(b"key", "text ü".encode(), hashlib.sha256).digest()

    assert sign("key", "text ü") == urlsafe_b64encode(digest).decode().rstrip("=")
    assert len(sign("key", "text")) == 43


def test_a_key_stays_valid_for_one_rotation() -> None:
    signature = sign(program_key(SECRET, ID, 1), "text")

    assert [is_signed("text", signature, valid_keys(SECRET, ID, version)) for version in (1, 2, 3)] == [
        True,
        True,
        False,
    ]
    assert len(valid_keys(SECRET, ID, 0)) == 1


@pytest.mark.parametrize("signature", ["", "x", "ü", "\ud7ff", "=" * 43, "A" * 43, "a" * 10_000])
def test_what_is_not_the_signature_is_none(signature: str) -> None:
    assert not is_signed("text", signature, valid_keys(SECRET, ID, 2))


@given(st.text(), st.text())
def test_only_the_text_that_was_signed_is_signed(text: str, other: str) -> None:
    assert is_signed(other, sign("key", text), ["another key", "key"]) == (text == other)


def test_a_postbacks_text_is_as_documented() -> None:
    parameters = {"value": "12.50", "transaction": "A&B = ü~", "timestamp": "1760000000", "signature": "x"}

    text = postback_text(ID, parameters)

    assert text == ("postback\n212313\ntimestamp=1760000000&transaction=A%26B%20%3D%20%C3%BC~&value=12.50")


@given(*[st.dictionaries(st.text(min_size=1), st.text())] * 2)
def test_two_postbacks_have_one_text_only_if_they_say_the_same(
    one: dict[str, str], other: dict[str, str]
) -> None:
    same = {**one, "signature": ""} == {**other, "signature": ""}

    assert (postback_text(ID, one) == postback_text(ID, other)) == same
