"""Visitors: the hash that stands for one during a day, and the cookie that names one."""

import hmac
import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256

DAY_MS = 86_400_000
HASH_BYTES = 16
NAME_BYTES = 16
VISITOR_MAX_CHARS = 256


class VisitorHashes:
    """Hashes visitors with a salt of the UTC day, which every task derives from the one secret.

    A visitor has one hash in a program during a day, whichever task it meets; another in another
    program, and another the next day. Nobody can tell which without the secret, and whoever has the
    secret can, for any day: it makes pseudonyms, no anonymity. A new secret ends that for all days
    before it.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._day = -1
        self._salt = b""

    def of(self, visitor: str, *, program_id: str, now_ms: int) -> str:
        """HMAC-SHA256 under the day's salt, of the program's id, a zero byte and the visitor, cut to
        128 bits and in base64url."""
        text = f"{program_id}\0{visitor}".encode()
        digest = hmac.digest(self._salt_of(now_ms // DAY_MS), text, sha256)[:HASH_BYTES]
        return urlsafe_b64encode(digest).rstrip(b"=").decode()

    def _salt_of(self, day: int) -> bytes:
        if day != self._day:
            self._salt = hmac.digest(self._secret, f"visitor-salt:{day}".encode(), sha256)
            self._day = day
        return self._salt


def new_visitor() -> str:
    """A name nobody else has and nobody can guess."""
    return secrets.token_urlsafe(NAME_BYTES)


def visitor_from_cookie(value: str | None) -> str | None:
    """The visitor that a cookie names; None where it is not one that could have been set."""
    if not value or len(value) > VISITOR_MAX_CHARS or not value.isascii() or not value.isprintable():
        return None
    return value


def visitor_cookie(name: str, visitor: str, *, max_age_s: int) -> str:
    """A Set-Cookie header: for this site alone, over HTTPS alone, out of reach of its scripts."""
    return f"{name}={visitor}; Max-Age={max_age_s}; Path=/; Secure; HttpOnly; SameSite=Lax"
