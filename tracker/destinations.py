"""Destinations: where a click leads, with what is known of the click filled in."""

import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit, urlunsplit

from schemas.destinations import MACROS

_macro = re.compile(r"\{(" + "|".join(MACROS) + r")\}")
_step = re.compile(r"(?:\.|%2e){1,2}", re.IGNORECASE)
_KEPT = "!#$%&'()*+,/:;=?@[]"
"""Reserved characters (RFC 3986, 2.2), and the sign of what is encoded already."""


def fill(template: str, values: Mapping[str, str | None]) -> str:
    """`template`, a destination, with its macros replaced by their values, percent-encoded; by nothing
    where there is none. Where no macro names the click id, it is appended to the query.

    Scheme and host are the template's own, and no value can end the part of the address that it stands
    in. A step up the path is the one thing that no encoding prevents: then the path is filled with
    nothing. All of the address is ASCII without a space or a control character.
    """
    scheme, host, *rest = urlsplit(template)
    path, query, fragment = (_filled(part, values) for part in rest)
    if _steps(path) != _steps(rest[0]):
        path = _filled(rest[0], {})
    if not any("{click_id}" in part for part in rest):
        query = "&".join(filter(None, [query, _filled("click_id={click_id}", values)]))
    return quote(urlunsplit((scheme, host, path, query, fragment)), safe=_KEPT)


def _filled(part: str, values: Mapping[str, str | None]) -> str:
    return _macro.sub(lambda macro: quote(values.get(macro[1]) or "", safe=""), part)


def _steps(path: str) -> int:
    """How many of its segments a browser takes for `.` or `..` (WHATWG URL Standard, 4.1)."""
    return sum(_step.fullmatch(segment) is not None for segment in path.split("/"))
