"""Schemathesis asks a real task what the document allows, and what it does not."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.tracker.documented import the_document
from tests.tracker.task import Task, running_task

EXAMPLES = 20
ANSWER_TIMEOUT_S = 10
SECRET = "s" * 32
TAKING = ("/event/{programId}", "/events")
"""Whoever answers here with 200 has taken events."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@schemathesis.serializer("application/msgpack")
def as_msgpack(_: schemathesis.SerializationContext, value: Any) -> bytes:
    try:
        return msgspec.msgpack.encode(value)
    except OverflowError:  # msgpack has no such integers
        return msgspec.json.encode(value)


@schemathesis.serializer("application/x-ndjson")
def as_lines(_: schemathesis.SerializationContext, value: Any) -> bytes:
    items = value if isinstance(value, list) else [value]
    return b"\n".join(map(msgspec.json.encode, items))


STREAM = "/live/stream"
schema = schemathesis.openapi.from_dict(the_document())


class Asked:
    """A task, and the events that it acknowledged."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.acknowledged: set[UUID] = set()


@pytest.fixture(scope="module")
def asked(valkey: str, ministack: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """Nothing that was acknowledged is lost, and a good request is answered, when all is over."""
    folder: Path = tmp_path_factory.mktemp("schemathesis")
    running = running_task(folder, redis_url=valkey, aws_url=ministack, apply_timeout_ms=50, secret=SECRET)
    stack = AsyncExitStack()
    with asyncio.Runner() as runner:
        try:
            asked = Asked(runner.run(stack.enter_async_context(running)))
            yield asked
            assert runner.run(asked.task.client.get("/health/ready")).status_code == 200
            assert asked.acknowledged
            assert asked.acknowledged <= set(asked.task.stored_ids())
            assert "Traceback" not in asked.task.log()
        finally:
            runner.run(stack.aclose())


@schema.parametrize()
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_documented(case: schemathesis.Case[Any], asked: Asked) -> None:
    checks = CHECKS
    if case.path == STREAM:
        # The schema is of the text; schemathesis takes it apart and holds each part against it.
        checks = [each for each in CHECKS if each is not response_schema_conformance]
        case.query |= {} if _ends(case.query) else {"once": "true"}
    response = case.call_and_validate(base_url=asked.task.url, checks=checks, timeout=ANSWER_TIMEOUT_S)

    if response.status_code == 200 and case.path in TAKING:
        asked.acknowledged |= _acknowledged(msgspec.json.decode(response.content))


def _ends(query: dict[str, Any]) -> bool:
    """Whether a stream that is asked for so ends by itself, if it is one at all."""
    return str(query.get("once", "false")).lower() not in ("false", "0")


def _acknowledged(answer: dict[str, Any]) -> set[UUID]:
    items = answer.get("results", [answer])
    return {UUID(str(item["messageId"])) for item in items}
