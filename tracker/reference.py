"""The API's description as a page for people: the OpenAPI document in HTML, without a script.

It needs nothing from anywhere else, and works in any browser, on paper, and read aloud.
"""

import shlex
from base64 import b64encode
from collections.abc import Iterable, Iterator
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from tracker.answers import JSON
from tracker.openapi import Json

STYLE = (Path(__file__).parent / "static" / "reference.css").read_text()
_STYLE_HASH = b64encode(sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
BASE = "$TRACKER"
"""What stands for this tracker's address in the calls that the page shows."""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p>{description}</p>
<p>As a document for tools: <a href="openapi.json">openapi.json</a>. To try the calls below, once:</p>
<pre>{setup}</pre>
</header>
<nav aria-label="Calls"><ul>{contents}</ul></nav>
<main>{operations}
<h2 id="schemas">Schemas</h2>{schemas}
</main>
</body>
</html>
"""


def reference(document: Json, *, address: str) -> str:
    """The page. `address` is where clients find this tracker, as `https://ads.example`."""
    operations = [
        _Operation(method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    setup = f"TRACKER={shlex.quote(address)}\nTOKEN=    # the admin token, where one is set"
    return _PAGE.format(
        title=escape(document["info"]["title"]),
        style=STYLE,
        description=_code(document["info"]["description"]),
        setup=escape(setup),
        contents="".join(operation.entry() for operation in operations),
        operations="".join(operation.section() for operation in operations),
        schemas="".join(_schema(*each) for each in sorted(document["components"]["schemas"].items())),
    )


class _Operation:
    """One call of the API."""

    def __init__(self, method: str, path: str, described: Json) -> None:
        self._method = method
        self._path = path
        self._described = described

    def entry(self) -> str:
        """Its line of the contents."""
        name = escape(self._described["operationId"])
        return f'<li><a href="#{name}"><b>{self._method}</b> {escape(self._path)}</a></li>'

    def section(self) -> str:
        name = escape(self._described["operationId"])
        token = "<p>Needs the admin token.</p>" if self._is_for_admin else ""
        return (
            f'<section aria-labelledby="{name}">'
            f'<h2 id="{name}"><b>{self._method}</b> {escape(self._path)}</h2>'
            f"<p>{_code(self._described['summary'])}.</p>{token}<pre class=call>{escape(self.curl())}</pre>"
            f"{self._parameters()}{self._body()}{''.join(self._answers())}</section>"
        )

    def curl(self) -> str:
        """The call of its examples, for a shell."""
        parts = ["curl", "-s", *self._flags(), f'"{BASE}{self._example_path()}"']
        if self._is_for_admin:
            parts += ["-H", '"authorization: Bearer $TOKEN"']
        if self._example is not None:
            body = msgspec.json.encode(self._example).decode()
            parts += ["-H", f"'content-type: {JSON}'", "-d", shlex.quote(body)]
        return " ".join(parts)

    def _flags(self) -> list[str]:
        """What makes curl take the method, where it would take another one by itself."""
        if self._method == "HEAD":
            return ["--head"]
        own = "GET" if self._example is None else "POST"
        return [] if self._method == own else ["-X", self._method]

    @property
    def _is_for_admin(self) -> bool:
        return "security" in self._described

    @property
    def _example(self) -> Any:
        content = self._described.get("requestBody", {}).get("content", {})
        return content.get(JSON, {}).get("example")

    def _example_path(self) -> str:
        path = self._path
        query = {}
        for parameter in self._described["parameters"]:
            if parameter["in"] == "path":
                path = path.replace("{" + parameter["name"] + "}", str(parameter["example"]))
            elif "example" in parameter:
                query[parameter["name"]] = _plain(parameter["example"])
        return path + (f"?{urlencode(query)}" if query else "")

    def _parameters(self) -> str:
        rows = [
            (
                each["name"],
                each["in"] + (", required" if each.get("required") else ""),
                _type(each["schema"]),
            )
            for each in self._described["parameters"]
        ]
        return _table(("parameter", "in", "type"), rows)

    def _body(self) -> str:
        if "requestBody" not in self._described:
            return ""
        content = self._described["requestBody"]["content"]
        forms = ", ".join(f"<code>{escape(form)}</code>" for form in content)
        return f"<h3>Body</h3><p>{_type(content[JSON]['schema'])} as {forms}</p>"

    def _answers(self) -> Iterator[str]:
        yield "<h3>Answers</h3><dl>"
        for status, answer in self._described["responses"].items():
            yield f"<dt><b>{escape(status)}</b> {_code(answer['description'])}</dt><dd>"
            yield from (_answer(form, each) for form, each in answer.get("content", {}).items())
            named = answer["headers"].items()
            yield "".join(f"<p><code>{escape(n)}</code>: {_code(h['description'])}</p>" for n, h in named)
            yield "</dd>"
        yield "</dl>"


def _answer(form: str, content: Json) -> str:
    if "examples" in content:
        named = content["examples"].items()
        reasons = ((reason, _code(each["value"]["detail"])) for reason, each in named)
        return _table(("reason", "meaning"), reasons)
    example = content.get("example")
    if example is None:
        return f"<p><code>{escape(form)}</code></p>"
    text = example if isinstance(example, str) else _indented(example)
    return f"<p>{_type(content['schema'])}</p><pre>{escape(text)}</pre>"


def _schema(name: str, schema: Json) -> str:
    required = schema.get("required", ())
    rows = [
        (field + ("*" if field in required else ""), _type(each))
        for field, each in schema.get("properties", {}).items()
    ]
    meaning = _code(schema.get("description", ""))
    fields = _table(("field (* required)", "type"), rows) if rows else f"<p>{_type(schema)}</p>"
    return f'<section><h3 id="schema-{escape(name)}">{escape(name)}</h3><p>{meaning}</p>{fields}</section>'


def _type(schema: Json) -> str:
    """What a value is, in few words."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(f"<code>{escape(str(each))}</code>" for each in schema["enum"])
    if schema.get("type") == "array":
        return f"array of {_type(schema.get('items', {}))}"
    return escape(" ".join([str(schema.get("type", "anything")), *_bounds(schema)]))


def _bounds(schema: Json) -> Iterator[str]:
    for name in ("format", "pattern"):
        if name in schema:
            yield f"({schema[name]})"
    for name, words in _BOUNDS.items():
        if name in schema:
            yield words.format(schema[name])


_BOUNDS = {
    "minimum": "from {}",
    "maximum": "to {}",
    "minLength": "of at least {} characters",
    "maxLength": "of at most {} characters",
    "maxItems": "of at most {}",
}


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """The first column of each row is text, the others are HTML."""
    body = "".join(map(_row, rows))
    titles = "".join(f"<th scope=col>{title}</th>" for title in head)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>" if body else ""


def _row(row: tuple[str, ...]) -> str:
    first, *others = row
    cells = "".join(f"<td>{each}</td>" for each in others)
    return f"<tr><th scope=row><code>{escape(first)}</code></th>{cells}</tr>"


def _code(text: str) -> str:
    """Text in which `this` is code."""
    parts = text.split("`")
    return "".join(
        f"<code>{escape(part)}</code>" if index % 2 else escape(part) for index, part in enumerate(parts)
    )


def _plain(example: Any) -> str:
    return str(example).lower() if isinstance(example, bool) else str(example)


def _indented(example: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(example), indent=2).decode()
