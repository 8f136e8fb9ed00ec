"""`/programs`: core data read with live totals, and changed through the update stream."""

from typing import Annotated

import msgspec
from msgspec import Meta
from sanic import Blueprint, Request
from sanic.response import HTTPResponse

from schemas.errors import UNREADABLE, MalformedError, ProgramNotFoundError
from schemas.programs import ProgramFields, ProgramId, PublicProgram, Totals, is_program_id
from tracker.answers import answer
from tracker.changes import Change
from tracker.routes.admin import admin
from tracker.routes.body import read_body
from tracker.routes.query import read_query
from tracker.services import services_of

PAGE_MAX = 1_000
PAGE_DEFAULT = 100

programs = Blueprint("programs")


class ProgramBody(ProgramFields, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What PUT takes. What the system sets may be sent back as it was read, and is passed over."""

    program_id: str | None = None
    version: int | None = None
    budget_spent: bool | None = None
    written_version: int | None = None
    flooded_until_ms: int | None = None


class PageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What a list takes: how many programs at most, and the page before's `cursor`."""

    limit: Annotated[int, Meta(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT
    cursor: ProgramId | None = None


class ChangeQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What a change takes: whether to answer only once this task has applied it."""

    wait: bool = False


class ProgramAnswer(msgspec.Struct, frozen=True):
    """A program and what is stored for it so far."""

    program: PublicProgram
    totals: Totals


class KeyAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """A program's key. It changes with the version."""

    program_id: str
    key_version: int
    key: str


class PageAnswer(msgspec.Struct, frozen=True):
    """Some programs; `cursor` asks for the next ones and is null on the last page."""

    programs: list[ProgramAnswer]
    cursor: str | None


_body = msgspec.json.Decoder(ProgramBody)


@programs.get("/programs")
async def list_programs(request: Request) -> HTTPResponse:
    services = services_of(request)
    query = read_query(request, PageQuery)
    page = await services.catalog.page(limit=query.limit, cursor=query.cursor)
    totals = await services.totals.read_all([program.program_id for program in page.programs])
    programs = [program.public for program in page.programs]
    listed = [ProgramAnswer(*each) for each in zip(programs, totals, strict=True)]
    return answer(request, PageAnswer(listed, page.cursor))


@programs.get("/programs/<program_id>")
async def get_program(request: Request, program_id: str) -> HTTPResponse:
    services = services_of(request)
    program = await services.programs.get(checked(program_id))
    return answer(request, ProgramAnswer(program.public, await services.totals.read(program_id)))


@programs.get("/programs/<program_id>/key")
@admin
async def get_key(request: Request, program_id: str) -> HTTPResponse:
    """What the program's partners sign with."""
    services = services_of(request)
    program = await services.programs.get(checked(program_id))
    return answer(request, KeyAnswer(program_id, program.key_version, services.signatures.key_of(program)))


@programs.put("/programs/<program_id>")
@admin
async def put_program(request: Request, program_id: str) -> HTTPResponse:
    """202 with the version; with `?wait=true` 200 once this task has applied it."""
    query = read_query(request, ChangeQuery)
    body = _decoded(read_body(request), program_id)
    (change,) = await services_of(request).changes.put({program_id: body}, wait=query.wait)
    return _changed(request, change)


@programs.delete("/programs/<program_id>")
@admin
async def delete_program(request: Request, program_id: str) -> HTTPResponse:
    """202 with the version; with `?wait=true` 200 once this task has applied it."""
    query = read_query(request, ChangeQuery)
    change = await services_of(request).changes.delete(checked(program_id), wait=query.wait)
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


def checked(program_id: str) -> str:
    """The id. Raises ProgramNotFoundError where no program can have it."""
    if not is_program_id(program_id):
        raise ProgramNotFoundError("no program can have this id")
    return program_id
