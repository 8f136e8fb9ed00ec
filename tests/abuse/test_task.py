"""The same against a task as it runs in production: its own process, on uvloop, on real services."""

import asyncio
import re
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tests.abuse.test_http import MALFORMED_HEADS, SMUGGLING
from tests.abuse.test_slow import UNFINISHED
from tests.abuse.wire import ask, assert_problem, post, request
from tests.tracker.server import ID
from tests.tracker.task import Task, eventually, running_task

CONNECTIONS = 10_000
FILES = CONNECTIONS + 500
LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ [\w.]+: [ -~]+")
HOSTILE = "%0d%0a2026-01-01 ERROR forged\x1b[31m"


@pytest.fixture
def many_files() -> None:
    """Lets this process, and a task that it starts from now on, open as many as the test needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES:
        pytest.skip(f"a process may open {hard} files here, and this needs {FILES}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, FILES), hard))


@pytest.fixture
async def task(valkey: str, ministack: str, tmp_path: Path) -> AsyncIterator[Task]:
    """Each event that was answered before and after the abuse is on the stream in the end."""
    async with running_task(
        tmp_path, redis_url=valkey, aws_url=ministack, request_timeout_ms=300, header_max_bytes=4_096
    ) as task:
        answered = [await _track(task)]
        yield task
        answered.append(await _track(task))
        assert set(answered) <= set(task.stored_ids())


async def _track(task: Task) -> UUID:
    answer = await task.client.get(f"/event/{ID}?messageId={uuid4()}")
    assert answer.status_code == 200
    return UUID(answer.json()["messageId"])


async def test_ten_thousand_idle_connections_keep_nobody_out(many_files: None, task: Task) -> None:
    with ExitStack() as connections:
        for _ in range(CONNECTIONS):
            connections.enter_context(socket.create_connection((task.settings.host, task.settings.port)))
        await eventually(lambda: _holds(task, CONNECTIONS))

        assert (await task.client.get("/health/ready")).status_code == 200
        assert await _track(task) in task.stored_ids()


async def test_what_is_ambiguous_or_unfinished_ends_its_connection(task: Task) -> None:
    ambiguous = [
        *MALFORMED_HEADS.values(),
        *(request(*headers, method="POST") for headers in SMUGGLING.values()),
    ]

    for data in ambiguous:
        assert_problem(await ask(task, data), 400, "malformed")
    for answer in await asyncio.gather(*(ask(task, part) for part in UNFINISHED.values())):
        assert_problem(answer, 408, "request_timeout")


async def test_headers_and_bodies_over_their_limits_are_refused(task: Task) -> None:
    too_long = post(b" " * (task.settings.request_max_bytes + 1))

    assert_problem(await ask(task, request(f"X-Padding: {'x' * 5_000}")), 413, "too_large")
    assert_problem(await ask(task, too_long), 413, "too_large")


async def test_no_client_writes_lines_into_the_log(task: Task) -> None:
    path = f"/event/{HOSTILE.replace(' ', '%20').replace(chr(27), '%1b')}"
    hostile = [
        request(path=path),
        request(path=f"/nowhere{path}"),
        request(f"User-Agent: {HOSTILE}"),
        request(f"User-Agent: {HOSTILE}".replace("\x1b", "")),
        post(b'[{"programId":"\\r\\n2026-01-01 ERROR forged"}]'),
        request(path=path, method="BREW"),
        request(f"Host: {HOSTILE}"),
        request("Content-Length: 3", path=f"/event/{ID}", body=b"\r\nX"),
    ]
    for data in hostile:
        answer = await ask(task, data)
        assert set(answer.headers) <= {
            *("allow", "alt-svc", "cache-control", "connection"),
            *("content-length", "content-type", "vary"),
        }

    assert [line for line in task.log().splitlines() if not LOG_LINE.fullmatch(line)] == []
    assert "forged" not in task.log()


async def _holds(task: Task, connections: int) -> bool:
    metrics = (await task.client.get("/metrics")).text
    found = re.search(r"^process_open_fds (\S+)$", metrics, re.MULTILINE)
    return found is not None and float(found[1]) > connections
