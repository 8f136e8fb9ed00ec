"""Signatures under derived keys, and what a postback's covers."""

import hashlib
import hmac
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ExpiredSignatureError, NotConfiguredError, SignatureError
from tests.factories import program
from tests.tracker.ports import Clock
from tests.tracker.server import SECRET
from tracker.signatures import Signatures, postback_text, sign

ID = "212313"
WINDOW_S = 300


def signatures(secret: str = SECRET) -> Signatures:
    return Signatures(secret, window_s=WINDOW_S, clock_ms=Clock())


def test_each_program_and_version_has_a_key_of_its_own_under_each_secret() -> None:
    keys = {
        signatures(secret).key_of(program(program_id=program_id, key_version=version))
        for secret in (SECRET, "another")
        for program_id in (ID, "212314")
        for version in (0, 1)
    }

    assert len(keys) == 8
    assert signatures().key_of(program()) == signatures().key_of(program(name="another"))


def test_a_key_is_derived_as_documented() -> None:
    derived = hmac.new(SECRET.encode(), b"program-key:v7:212313", hashlib.sha256)

    assert signatures().key_of(program(key_version=7)) == derived.hexdigest()


def test_a_signature_is_a_plain_hmac_in_base64url() -> None:
    digest = hmac.new(b"key", "text ü".encode(), hashlib.sha256).digest()

    assert sign("key", "text ü") == urlsafe_b64encode(digest).decode().rstrip("=")
    assert len(sign("key", "text")) == 43


def test_a_key_stays_valid_for_one_rotation() -> None:
    signature = sign(signatures().key_of(program(key_version=3)), "text")

    signatures().check(program(key_version=3), "text", signature)
    signatures().check(program(key_version=4), "text", signature)
    for version in (0, 2, 5):
        with pytest.raises(SignatureError):
            signatures().check(program(key_version=version), "text", signature)


@pytest.mark.parametrize("signature", ["", "x", "ü", "=" * 43, "A" * 43, "a" * 10_000])
def test_what_is_not_the_signature_is_refused(signature: str) -> None:
    with pytest.raises(SignatureError):
        signatures().check(program(), "text", signature)


@given(st.text(), st.text())
def test_a_signature_is_of_one_text_alone(text: str, other: str) -> None:
    key = signatures().key_of(program())

    signatures().check(program(), text, sign(key, text))
    if other != text:
        with pytest.raises(SignatureError):
            signatures().check(program(), other, sign(key, text))


@pytest.mark.parametrize("off_s", [-WINDOW_S, 0, WINDOW_S])
def test_a_time_within_the_window_is_taken(off_s: int) -> None:
    signatures().check_time(Clock().now_ms // 1000 + off_s)


@pytest.mark.parametrize("off_s", [-WINDOW_S - 1, WINDOW_S + 1, -1_760_000_000, 2**53 - 1])
def test_a_time_outside_the_window_is_refused(off_s: int) -> None:
    with pytest.raises(ExpiredSignatureError):
        signatures().check_time(Clock().now_ms // 1000 + off_s)


def test_without_a_secret_there_are_no_keys() -> None:
    with pytest.raises(NotConfiguredError):
        signatures("").key_of(program())
    with pytest.raises(NotConfiguredError):
        signatures("").check(program(), "text", "signature")


def test_a_postbacks_text_is_as_documented() -> None:
    parameters = {"value": "12.50", "transaction": "A&B = ü~", "timestamp": "1760000000", "signature": "x"}

    assert postback_text(ID, parameters) == (
        "postback\n212313\ntimestamp=1760000000&transaction=A%26B%20%3D%20%C3%BC~&value=12.50"
    )


@given(*[st.dictionaries(st.text(min_size=1), st.text())] * 2)
def test_two_postbacks_have_one_text_only_if_they_say_the_same(
    one: dict[str, str], other: dict[str, str]
) -> None:
    same = {**one, "signature": ""} == {**other, "signature": ""}

    assert (postback_text(ID, one) == postback_text(ID, other)) == same
