"""`/cache/fill` and `/cache/purge`: the sample programs in, every cache emptied."""

import msgspec
from sanic import Blueprint, Request
from sanic.response import HTTPResponse

from schemas.programs import ProgramFields
from tracker.answers import answer
from tracker.changes import Change
from tracker.routes.admin import admin
from tracker.services import services_of

SAMPLES = {
    "212312": ProgramFields(name="program1", checksum="123", customer_id=9123, customer_name="Customer1"),
    "212313": ProgramFields(name="program2", checksum="124", customer_id=9124, customer_name="Customer2"),
    "212314": ProgramFields(name="program3", checksum="125", customer_id=9125, customer_name="Customer3"),
}

cache = Blueprint("cache")


class FillAnswer(msgspec.Struct, frozen=True):
    """The sample programs as they were sent."""

    programs: list[Change]


class PurgeAnswer(msgspec.Struct, frozen=True):
    """The purge as it was sent; `applied` once this task's memory is empty."""

    version: int
    applied: bool


@cache.get("/cache/fill", name="get_fill")
@cache.post("/cache/fill", name="post_fill")
@admin
async def fill(request: Request) -> HTTPResponse:
    """200 once this task has applied all, 202 where that takes longer than it waits."""
    changes = await services_of(request).changes.put(SAMPLES, wait=True)
    done = all(change.applied for change in changes)
    return answer(request, FillAnswer(changes), status=200 if done else 202)


@cache.get("/cache/purge", name="get_purge")
@cache.post("/cache/purge", name="post_purge")
@admin
async def purge(request: Request) -> HTTPResponse:
    """200 once this task's memory is empty, 202 where that takes longer than it waits."""
    change = await services_of(request).changes.purge()
    body = PurgeAnswer(change.version, change.applied)
    return answer(request, body, status=200 if change.applied else 202)
