"""Holds every answer that a test gets against the API's own description."""

import re
from functools import cache
from http import HTTPStatus
from typing import Any

import httpx
import jsonschema_rs
import msgspec

from tracker.answers import PROBLEM
from tracker.api import OPERATIONS
from tracker.openapi import document

Json = dict[str, Any]


class DocumentedClient(httpx.AsyncClient):
    """A client that takes no answer which /openapi.json does not describe."""

    async def request(self, method: str, url: httpx.URL | str, **options: Any) -> httpx.Response:
        answer = await super().request(method, url, **options)
        assert_documented(answer)
        return answer


def assert_documented(answer: httpx.Response) -> None:
    described = _described(answer.request.method, answer.request.url.path)
    if described is None:
        assert answer.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
        assert answer.headers["content-type"] == PROBLEM
        return
    response = described["responses"][str(answer.status_code)]
    assert set(name.lower() for name in response["headers"]) <= set(answer.headers)
    if "content" not in response:
        assert answer.content == b""
        return
    media_type = answer.headers["content-type"].partition(";")[0]
    _validator(msgspec.json.encode(response["content"][media_type]["schema"])).validate(_read(answer))


@cache
def the_document() -> Json:
    """As a client reads it."""
    read: Json = msgspec.json.decode(msgspec.json.encode(document(OPERATIONS)))
    return read


def _described(method: str, path: str) -> Json | None:
    for template, methods in the_document()["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            described: Json | None = methods.get(method.lower())
            return described
    return None


@cache
def _validator(schema: bytes) -> jsonschema_rs.Validator:
    components = {"components": the_document()["components"]}
    return jsonschema_rs.Draft202012Validator(msgspec.json.decode(schema) | components)


def _read(answer: httpx.Response) -> Any:
    return answer.json() if "json" in answer.headers["content-type"] else answer.text
