"""Visitors: the hash that stands for one during a day, and the cookie that names one."""

import hmac
import secrets
from base64 import urlsafe_b64encode
from hashlib import blake2b, sha256

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
        self._salted = blake2b()

    def of(self, visitor: str, *, program_id: str, now_ms: int) -> str:
        """BLAKE2b of 128 bits with the day's salt for its key (RFC 7693), of the program's id, a zero byte
        and the visitor; in base64url."""
        day = now_ms // DAY_MS
        if day != self._day:
            self._turn_to(day)
        hashed = self._salted.copy()
        hashed.update(f"{program_id}\0{visitor}".encode())
        return urlsafe_b64encode(hashed.digest()).rstrip(b"=").decode()

    def _turn_to(self, day: int) -> None:
        """The key is hashed once for a day: that is half the time of a hash."""
        salt = hmac.digest(self._secret, f"visitor-salt:{day}".encode(), sha256)
        self._salted = blake2b(key=salt, digest_size=HASH_BYTES)
        self._day = day


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
