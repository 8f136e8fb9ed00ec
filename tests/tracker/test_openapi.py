"""The API's description: valid, complete, and true of what a tracker answers."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis

from schemas.errors import TrackerError
from schemas.programs import InvalidReason
from tests.tracker.documented import Json, the_document
from tests.tracker.server import Tracker
from tracker.answers import JSON, PROBLEM
from tracker.api import OPERATIONS

VERSIONS = ("version", "writtenVersion")
BY_PATH_ALONE = {"not_found", "method_not_allowed", "bad_request"}


def operations() -> Iterator[tuple[str, str, Json]]:
    for path, methods in the_document()["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_the_document_is_openapi_3_1() -> None:
    schemathesis.openapi.from_dict(the_document()).validate()


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]

    assert len(names) == len(set(names)) == len(OPERATIONS)


async def test_every_route_is_described_and_nothing_else(tracker: Tracker) -> None:
    routes = {
        (method, "/" + re.sub(r"<(\w+?)(:\w+)?>", _camel, route.path).replace("{image}", "{programId}.gif"))
        for route in tracker.app.router.routes
        for method in route.methods
    }

    assert {(method, path) for method, path, _ in operations()} == routes


def test_every_reason_to_refuse_a_request_is_described_with_its_status() -> None:
    described = {
        (int(status), reason)
        for _, _, operation in operations()
        for status, answer in operation["responses"].items()
        for reason in _reasons(answer)
    }

    published = {(kind.status, kind.reason) for kind in _tree(TrackerError)}
    of_requests = {(status, reason) for status, reason in published if status < 500}
    assert described <= published
    assert {reason for _, reason in of_requests - described} <= BY_PATH_ALONE


def test_why_an_event_does_not_count_is_described() -> None:
    reason = the_document()["components"]["schemas"]["EventAnswer"]["properties"]["reason"]

    assert reason["anyOf"][0]["enum"] == list(InvalidReason)


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [pytest.param(*each, id=each[2]["operationId"]) for each in operations()],
)
async def test_asked_as_in_its_example_a_tracker_answers_as_in_its_example(
    tracker: Tracker, method: str, path: str, operation: Json
) -> None:
    status, answer = next(iter(operation["responses"].items()))

    got = await tracker.client.request(
        method,
        _path(path, operation),
        params=_query(operation),
        json=_body(operation),
        headers={"user-agent": "curl/8.5.0"},
    )

    assert got.status_code == int(status)
    for media_type, content in answer.get("content", {}).items():
        if media_type == JSON:
            assert _holds(got.json(), content["example"])
        elif media_type != PROBLEM:
            assert (content.get("example") or "") in got.text


async def test_the_document_is_served(tracker: Tracker) -> None:
    answer = await tracker.client.get("/openapi.json")

    assert answer.json() == the_document()


def _path(path: str, operation: Json) -> str:
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            path = path.replace("{" + parameter["name"] + "}", parameter["example"])
    return path


def _query(operation: Json) -> dict[str, str]:
    return {
        parameter["name"]: _text(parameter["example"])
        for parameter in operation["parameters"]
        if parameter["in"] == "query" and "example" in parameter
    }


def _text(example: Any) -> str:
    return str(example).lower() if isinstance(example, bool) else str(example)


def _body(operation: Json) -> Any:
    content = operation.get("requestBody", {"content": {}})["content"]
    return content.get("application/json", {}).get("example")


def _holds(got: Any, example: Any) -> bool:
    """Whether `got` is as `example` wherever that says something; versions are new each time."""
    if isinstance(example, dict):
        return all(
            name in got and (name in VERSIONS or _holds(got[name], each)) for name, each in example.items()
        )
    if isinstance(example, list):
        return len(got) == len(example) and all(map(_holds, got, example))
    return bool(got == example)


def _reasons(answer: Json) -> list[str]:
    problem = answer.get("content", {}).get(PROBLEM)
    reasons: list[str] = problem["schema"]["properties"]["reason"]["enum"] if problem else []
    return reasons


def _tree(root: type[TrackerError]) -> Iterator[type[TrackerError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


def _camel(found: "re.Match[str]") -> str:
    first, *others = found[1].split("_")
    return "{" + first + "".join(each.capitalize() for each in others) + "}"
