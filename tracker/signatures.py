"""Signatures: what a program's partners sign, and the key they sign it with.

A signature is the HMAC-SHA256 of a text in UTF-8, as base64url without padding (RFC 2104, RFC 4648).
A program's key is derived from the system's secret, so it is stored nowhere; another `key_version` makes
another key. Links that are out and partners who learn of it late go on with the key of the version
before, so a rotation breaks nothing, and two shut out a key that leaked (docs/decisions/0016-signatures.md).
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from urllib.parse import quote

from schemas.errors import ExpiredSignatureError, NotConfiguredError, SignatureError
from schemas.programs import Program

SIGNATURE = "signature"
"""The parameter that holds a signature; of a postback's parameters the only one that it does not cover."""


class Signatures:
    """Programs' keys, and whether something is signed with one.

    Raises NotConfiguredError where there is no secret to derive a key from.
    """

    def __init__(self, secret: str, *, window_s: int, clock_ms: Callable[[], int]) -> None:
        self._secret = secret
        self._window_s = window_s
        self._clock_ms = clock_ms

    def key_of(self, program: Program) -> str:
        """The key as partners are given it. They use these characters, as they are, as HMAC's key."""
        return self._key(program.program_id, program.key_version)

    def check(self, program: Program, text: str, signature: str) -> None:
        """Raises SignatureError where `signature` is not that of `text`. Takes as long for any."""
        versions = (program.key_version, program.key_version - 1)
        keys = [self._key(program.program_id, version) for version in versions if version >= 0]
        if not any([hmac.compare_digest(sign(key, text).encode(), signature.encode()) for key in keys]):
            raise SignatureError(f"the signature is not of program {program.program_id}'s key")

    def check_time(self, signed_at_s: int) -> None:
        """Raises ExpiredSignatureError for what was signed outside the window around now."""
        if abs(self._clock_ms() - signed_at_s * 1000) > self._window_s * 1000:
            raise ExpiredSignatureError(f"the timestamp is more than {self._window_s} s from now")

    def _key(self, program_id: str, version: int) -> str:
        if not self._secret:
            raise NotConfiguredError("this deployment has no TRACKER_SECRET, so nothing can be signed")
        return _digest(self._secret, f"program-key:v{version}:{program_id}").hex()


def sign(key: str, text: str) -> str:
    return urlsafe_b64encode(_digest(key, text)).rstrip(b"=").decode()


def postback_text(program_id: str, parameters: Mapping[str, str]) -> str:
    """What a postback's signature covers: `postback`, the program, and its parameters, each on a line.

    Parameters are sorted by name, percent-encoded but for letters, digits, `-`, `.`, `_` and `~`, and
    joined as in a query. So it does not matter how they were encoded, ordered or sent.
    """
    pairs = sorted((name, value) for name, value in parameters.items() if name != SIGNATURE)
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    return f"postback\n{program_id}\n{query}"


def _digest(key: str, text: str) -> bytes:
    return hmac.digest(key.encode(), text.encode(), sha256)
