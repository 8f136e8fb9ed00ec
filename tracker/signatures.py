"""Signatures: what a program's partners sign, and the key they sign it with.

A signature is the HMAC-SHA256 of a text in UTF-8, as base64url without padding (RFC 2104, RFC 4648).
A program's key is derived from the system's one secret and the key's version, so it is stored nowhere;
a new version makes a new key (docs/decisions/0012-signatures.md).
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from urllib.parse import quote

SIGNATURE = "signature"
"""The parameter that holds a postback's signature, and the only one that it does not cover."""


def program_key(secret: str, program_id: str, version: int) -> str:
    """The key as its partners are given it. They use these characters, as they are, as HMAC's key."""
    return sign(secret, f"program-key:v{version}:{program_id}")


def valid_keys(secret: str, program_id: str, version: int) -> list[str]:
    """The key of `version` and the one before: links that are out, and partners who learn of a new key
    later, go on for one rotation. A key that leaked is shut out by two."""
    return [program_key(secret, program_id, each) for each in (version, version - 1) if each >= 0]


def sign(key: str, text: str) -> str:
    digest = hmac.digest(key.encode(), text.encode(), sha256)
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def is_signed(text: str, signature: str, keys: Iterable[str]) -> bool:
    """Whether `signature` is that of `text` under one of `keys`. Tells nothing by the time it takes."""
    given = signature.encode()
    return any([hmac.compare_digest(sign(key, text).encode(), given) for key in keys])


def postback_text(program_id: str, parameters: Mapping[str, str]) -> str:
    """What a postback's signature covers: `postback`, the program, and its parameters, each on a line.

    Parameters are sorted by name, percent-encoded but for letters, digits, `-`, `.`, `_` and `~`, and
    joined as in a query. So it does not matter how they were encoded, ordered or sent.
    """
    pairs = sorted((name, value) for name, value in parameters.items() if name != SIGNATURE)
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    return f"postback\n{program_id}\n{query}"
