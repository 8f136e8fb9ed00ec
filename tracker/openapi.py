"""The OpenAPI document (3.1), made of the structs that the routes decode and encode."""

import inspect
import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any
from uuid import UUID

import msgspec

from schemas.errors import (
    ExpectationError,
    ForbiddenError,
    MalformedError,
    RequestTimeoutError,
    TooLargeError,
    TrackerError,
    UnauthorizedError,
    UnavailableError,
    UnsupportedMediaTypeError,
)
from schemas.programs import ProgramId
from tracker.answers import JSON, PROBLEM, Problem

Json = dict[str, Any]
Errors = tuple[type[TrackerError], ...]

PROGRAM_ID = "212313"
MESSAGE_ID = UUID("0190e8a3-6a1c-7000-8000-000000000001")
"""Of every example."""
IN_PATHS: dict[str, tuple[Any, str]] = {
    "programId": (ProgramId, PROGRAM_ID),
    "messageId": (UUID, str(MESSAGE_ID)),
}
"""What a path may hold, by its name there: its type and its example."""

UNREAD: Errors = (MalformedError, RequestTimeoutError, TooLargeError)
"""What any request may be refused with before its route is looked for."""
ALWAYS: Errors = (TrackerError, UnavailableError)
"""What any route may answer."""
WITH_BODY: Errors = (UnsupportedMediaTypeError, ExpectationError)
WITH_TOKEN: Errors = (UnauthorizedError, ForbiddenError)

_INFO = {
    "title": "Reactive Tracker",
    "version": "1",
    "description": (
        "Views, clicks and conversions in; live core data in every answer. 2xx means durable. Every error is "
        "a problem (RFC 9457) with a `reason` from a closed set. A path that is not here is a 404 "
        "`not_found`, a method that is not here a 405 `method_not_allowed`."
    ),
}
_AGAIN = {"Retry-After": "seconds after which to send again"}
_ERROR_HEADERS = {401: {"WWW-Authenticate": "how to authenticate: `Bearer`"}, 429: _AGAIN, 503: _AGAIN}
_REFS = "#/components/schemas/{name}"
_PATH_PARAMETER = re.compile(r"\{(\w+)\}")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A good answer: its meaning and an example, whose type is its schema; without one it may be any
    of its media type. Without a media type it has no body. `headers` say what each means."""

    meaning: str
    example: msgspec.Struct | Json | str | None = None
    media_type: str | None = JSON
    headers: dict[str, str] = {}


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What a route decodes, in which forms, and an example."""

    kind: Any
    example: msgspec.Struct | list[msgspec.Struct]
    media_types: tuple[str, ...] = (JSON,)
    required: bool = True


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path. Its examples belong together: asked as in the examples, a tracker with
    the sample programs gives the first of `answers`."""

    name: str
    method: str
    path: str
    summary: str
    answers: dict[int, Answer]
    query: msgspec.Struct | None = None
    """An example, whose type is the schema."""
    body: Body | None = None
    errors: Errors = ()
    """Beside those that any request of its kind may be refused with."""
    admin: bool = False
    problems: bool = True
    """Whether the route answers an error as one."""

    @property
    def all_errors(self) -> Errors:
        if not self.problems:
            return UNREAD
        return (
            *self.errors,
            *UNREAD,
            *ALWAYS,
            *(WITH_BODY if self.body else ()),
            *(WITH_TOKEN if self.admin else ()),
        )


def document(operations: Sequence[Operation]) -> Json:
    """The document of these operations, as JSON."""
    schemas = _Schemas(operations)
    paths: dict[str, Json] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": _INFO,
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {"admin": {"type": "http", "scheme": "bearer"}},
        },
    }


class _Schemas:
    """JSON Schemas by type, and those that they refer to by name."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        kinds = list(dict.fromkeys([Problem, *(kind for kind, _ in IN_PATHS.values()), *_kinds(operations)]))
        schemas, components = msgspec.json.schema_components(kinds, ref_template=_REFS)
        self._by_kind = {kind: _portable(schema) for kind, schema in zip(kinds, schemas, strict=True)}
        self.components: Json = _portable(components)

    def of(self, kind: Any) -> Json:
        schema: Json = self._by_kind[kind]
        return schema

    def properties(self, kind: type[msgspec.Struct]) -> Json:
        properties: Json = self.components[kind.__name__]["properties"]
        return properties

    def is_required(self, kind: type[msgspec.Struct], name: str) -> bool:
        return name in self.components[kind.__name__].get("required", ())


def _kinds(operations: Sequence[Operation]) -> Iterator[Any]:
    for operation in operations:
        if operation.query is not None:
            yield type(operation.query)
        if operation.body is not None:
            yield operation.body.kind
        for answer in operation.answers.values():
            yield type(answer.example)


def _portable(schema: Any) -> Any:
    """Python's dialect as everybody's: the end of a pattern, the indent of a docstring."""
    if isinstance(schema, list):
        return [_portable(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    portable = {key: _portable(each) for key, each in schema.items()}
    if isinstance(pattern := schema.get("pattern"), str):
        portable["pattern"] = pattern.replace(r"\Z", "$")
    if isinstance(description := schema.get("description"), str):
        portable["description"] = inspect.cleandoc(description)
    return portable


def _operation(operation: Operation, schemas: _Schemas) -> Json:
    described: Json = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": [*_path_parameters(operation, schemas), *_query_parameters(operation, schemas)],
        "responses": _answers(operation, schemas),
    }
    if operation.body is not None:
        described["requestBody"] = _body(operation.body, schemas)
    if operation.admin:
        described["security"] = [{"admin": []}]
    return described


def _path_parameters(operation: Operation, schemas: _Schemas) -> Iterator[Json]:
    for name in _PATH_PARAMETER.findall(operation.path):
        kind, example = IN_PATHS[name]
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "schema": schemas.of(kind),
            "example": example,
        }


def _query_parameters(operation: Operation, schemas: _Schemas) -> Iterator[Json]:
    if operation.query is None:
        return
    kind = type(operation.query)
    in_path = _PATH_PARAMETER.findall(operation.path)
    examples = _given(operation.query)
    for name, schema in schemas.properties(kind).items():
        if name not in in_path:
            parameter = {"name": name, "in": "query", "schema": _without_null(schema)}
            required = {"required": True} if schemas.is_required(kind, name) else {}
            yield parameter | required | ({"example": examples[name]} if name in examples else {})


def _without_null(schema: Json) -> Json:
    """A query has no null: what is not known is left out."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    return kinds[0] if len(kinds) == 1 else schema


def _body(body: Body, schemas: _Schemas) -> Json:
    """Every form holds the same; how it is written is said in JSON alone."""
    schema = schemas.of(body.kind)
    content: Json = {media_type: {"schema": schema} for media_type in body.media_types}
    content[JSON]["example"] = _given(body.example)
    return {"required": body.required, "content": content}


def _given(example: Any) -> Any:
    """What a client would write: the fields that are not at their defaults."""
    if isinstance(example, list):
        return [_given(each) for each in example]
    return {
        spec.encode_name: msgspec.to_builtins(value)
        for spec in msgspec.structs.fields(example)
        if (value := getattr(example, spec.name)) != spec.default
    }


def _answers(operation: Operation, schemas: _Schemas) -> Json:
    answers = {str(status): _answer(answer, schemas) for status, answer in operation.answers.items()}
    for status in sorted({error.status for error in operation.all_errors}):
        errors = {error.reason: error for error in operation.all_errors if error.status == status}
        problem = _problem(status, errors, schemas)
        problem["content"] |= answers.get(str(status), {}).get("content", {})
        answers[str(status)] = problem
    return answers


def _answer(answer: Answer, schemas: _Schemas) -> Json:
    described: Json = {"description": answer.meaning, "headers": _headers(answer.headers)}
    if answer.media_type is not None:
        described["content"] = {answer.media_type: _content(answer.example, schemas)}
    return described


def _content(example: Any, schemas: _Schemas) -> Json:
    if example is None:
        return {"schema": {}}
    return {"schema": schemas.of(type(example)), "example": msgspec.to_builtins(example)}


def _problem(status: int, errors: dict[str, type[TrackerError]], schemas: _Schemas) -> Json:
    title = HTTPStatus(status).phrase
    schema = schemas.of(Problem) | {"properties": {"reason": {"enum": list(errors)}}}
    examples = {
        reason: {"value": {"title": title, "status": status, "reason": reason, "detail": _meaning(error)}}
        for reason, error in errors.items()
    }
    return {
        "description": title,
        "headers": _headers(_ERROR_HEADERS.get(status, {})),
        "content": {PROBLEM: {"schema": schema, "examples": examples}},
    }


def _headers(meanings: dict[str, str]) -> Json:
    return {
        name: {"description": meaning, "required": True, "schema": {"type": "string"}}
        for name, meaning in meanings.items()
    }


def _meaning(error: type[TrackerError]) -> str:
    return inspect.cleandoc(error.__doc__ or "").partition(". ")[0].rstrip(".")
