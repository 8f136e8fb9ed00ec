"""`/programs`: core data read with live totals, and changed through the update stream."""

import asyncio

import msgspec
from sanic import Blueprint, Request
from sanic.response import HTTPResponse

from schemas.errors import UNREADABLE, MalformedError, ProgramNotFoundError
from schemas.programs import Program, ProgramFields, Totals, is_program_id
from tracker.answers import answer
from tracker.changes import Change
from tracker.routes.admin import admin
from tracker.routes.body import read_body
from tracker.services import services_of

PAGE_MAX = 1_000
PAGE_DEFAULT = 100

programs = Blueprint("programs")


class ProgramBody(ProgramFields, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What PUT takes. What the system sets may be sent back as it was read, and is passed over."""

    program_id: str | None = None
    version: int | None = None
    budget_spent: bool | None = None


class ProgramAnswer(msgspec.Struct, frozen=True):
    """A program and what is stored for it so far."""

    program: Program
    totals: Totals


class PageAnswer(msgspec.Struct, frozen=True):
    """Some programs; `cursor` asks for the next ones and is null on the last page."""

    programs: list[ProgramAnswer]
    cursor: str | None


_body = msgspec.json.Decoder(ProgramBody)


@programs.get("/programs")
async def list_programs(request: Request) -> HTTPResponse:
    services = services_of(request)
    page = await services.catalog.page(limit=_limit(request), cursor=request.args.get("cursor"))
    totals = await asyncio.gather(*(services.totals.read(program.program_id) for program in page.programs))
    listed = [ProgramAnswer(*each) for each in zip(page.programs, totals, strict=True)]
    return answer(request, PageAnswer(listed, page.cursor))


@programs.get("/programs/<program_id>")
async def get_program(request: Request, program_id: str) -> HTTPResponse:
    services = services_of(request)
    program = await services.programs.get(_checked(program_id))
    return answer(request, ProgramAnswer(program, await services.totals.read(program_id)))


@programs.put("/programs/<program_id>")
@admin
async def put_program(request: Request, program_id: str) -> HTTPResponse:
    """202 with the version; with `?wait=true` 200 once this task has applied it."""
    body = _decoded(read_body(request), program_id)
    (change,) = await services_of(request).changes.put({program_id: body}, wait=_waits(request))
    return _changed(request, change)


@programs.delete("/programs/<program_id>")
@admin
async def delete_program(request: Request, program_id: str) -> HTTPResponse:
    """202 with the version; with `?wait=true` 200 once this task has applied it."""
    change = await services_of(request).changes.delete(_checked(program_id), wait=_waits(request))
    return _changed(request, change)


def _changed(request: Request, change: Change) -> HTTPResponse:
    return answer(request, change, status=200 if change.applied else 202)


def _decoded(body: bytes, program_id: str) -> ProgramBody:
    if not is_program_id(program_id):
        raise MalformedError("a program id is 1 to 64 letters, digits, '-' or '_'")
    try:
        decoded = _body.decode(body)
    except UNREADABLE as error:
        raise MalformedError(str(error)) from error
    if decoded.program_id not in (None, program_id):
        raise MalformedError("the programId of the body is not the path's")
    return decoded


def _checked(program_id: str) -> str:
    if not is_program_id(program_id):
        raise ProgramNotFoundError("no program can have this id")
    return program_id


def _waits(request: Request) -> bool:
    return bool(request.args.get("wait") == "true")


def _limit(request: Request) -> int:
    text = request.args.get("limit", str(PAGE_DEFAULT))
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:9]) <= PAGE_MAX:
        raise MalformedError(f"limit is a number from 1 to {PAGE_MAX}")
    return int(text)
