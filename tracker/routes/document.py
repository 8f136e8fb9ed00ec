"""`/openapi.json`: the API's own description."""

from functools import cache

from sanic import Blueprint, Request
from sanic.response import HTTPResponse

from tracker.answers import answer
from tracker.api import OPERATIONS
from tracker.openapi import Json
from tracker.openapi import document as described

document = Blueprint("document")


@document.get("/openapi.json")
async def get_document(request: Request) -> HTTPResponse:
    return answer(request, _document())


@cache
def _document() -> Json:
    return described(OPERATIONS)
