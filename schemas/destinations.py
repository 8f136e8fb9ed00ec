"""Destinations: where a program sends its clicks, and which pages of whose may send it events."""

import re
from urllib.parse import urlsplit

MACROS = ("click_id", "program_id", "visitor")
"""What a tracker fills in where a destination says `{click_id}`, `{program_id}` or `{visitor}`."""

_MACRO = re.compile(r"\{([^{}]*)\}")
_ORIGIN = re.compile(r"^https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]+)?\Z")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def destination_problem(url: str) -> str | None:
    """What keeps `url` from being a destination; None when nothing does.

    A destination is an absolute http or https URL. Macros stand in its path, query or fragment: one in
    the scheme or host would let whoever sends a click choose where it goes.
    """
    if not _is_web_address(url):
        return "must be an absolute http or https URL"
    if "{" in urlsplit(url).netloc:
        return "takes macros in its path, query or fragment only"
    unknown = sorted(set(_MACRO.findall(url)) - set(MACROS))
    if unknown:
        named = ", ".join(f"{{{macro}}}" for macro in MACROS)
        return f"knows the macros {named}; not {{{unknown[0]}}}"
    return None


def is_web_origin(text: str) -> bool:
    """Whether `text` is an http or https origin exactly as a browser's Origin header has it.

    Scheme, host and a port that is not the scheme's default, in lower case (RFC 6454, 6.2).
    """
    if not _is_web_address(text) or not _ORIGIN.match(text):
        return False
    parts = urlsplit(text)
    return parts.port != _DEFAULT_PORTS[parts.scheme]


def _is_web_address(text: str) -> bool:
    """A backslash is refused since a browser reads it as a slash: it would end the host elsewhere."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    printable = text.isprintable() and " " not in text and "\\" not in text
    return parts.scheme in ("http", "https") and bool(host) and printable
