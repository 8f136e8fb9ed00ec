"""`/openapi.json` and `/docs`: the API's own description, for tools and for people."""

from functools import cache

from sanic import Blueprint, Request
from sanic.response import HTTPResponse

from tracker.answers import answer, respond
from tracker.api import OPERATIONS
from tracker.openapi import Json
from tracker.openapi import document as described
from tracker.reference import HEADERS, reference

document = Blueprint("document")


@document.get("/openapi.json")
async def get_document(request: Request) -> HTTPResponse:
    return answer(request, _document())


@document.get("/docs")
async def get_reference(request: Request) -> HTTPResponse:
    page = reference(_document(), address=f"{request.scheme}://{request.host}")
    return respond(request, page.encode(), content_type="text/html; charset=utf-8", headers=HEADERS)


@cache
def _document() -> Json:
    return described(OPERATIONS)
