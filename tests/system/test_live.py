"""Live updates, over HTTP and on Redis: what is told of the running system, as documented."""

import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO
from uuid import uuid4

import httpx
import msgspec
import pytest

from schemas.invalidations import ProgramInvalidated, TotalsPublished, decode_invalidation
from tests.system.conftest import ROOT, Stack, until

DOCUMENT = ROOT / "docs" / "live-updates.md"
EXAMPLES = ROOT / "docs" / "examples"
LISTEN_S = 10
TRANSCRIPT = {
    command.split()[0]: (command, shown.splitlines())
    for command, shown in re.findall(r"^```\n\$ (.*)\n((?:.*\n)*?)```$", DOCUMENT.read_text(), re.MULTILINE)
}
SECTION = re.compile(r'"(\w+)":\[')
DIGITS = re.compile(r"\d+")
SHOWN = re.compile(r'^3\) ("\{.*\}")$', re.MULTILINE)
BODY: dict[str, Any] = {"name": "first", "customerId": 9124, "customerName": "Customer2", "checksum": "124"}


def test_what_both_trackers_tell_is_the_same_and_is_what_is_stored(stack: Stack) -> None:
    program_id = new_program(stack)
    for kind in ("view", "view", "click"):
        assert stack.trackers[0].get(f"/event/{program_id}", params={"kind": kind}).status_code == 200
    until(lambda: stack.totals(program_id).stored == 3, timeout_s=10)

    for tracker in stack.trackers:
        assert_told(tracker, program_id, [2, 1, 0, 0])


def test_a_change_is_told_with_the_tasks_that_have_applied_it(stack: Stack) -> None:
    program_id = new_program(stack)
    with stack.trackers[1].stream("GET", "/live/stream") as stream:
        events = sections(stream)
        until(lambda: any(not state["reading"] for state in next(events).get("state", ())), timeout_s=10)

        answer = stack.trackers[0].put(f"/programs/{program_id}?wait=true", json=BODY | {"active": False})
        version = answer.json()["version"]
        news = until(lambda: by_all(next(events).get("changes", ()), version, tasks=2), timeout_s=10)

    assert (news["kind"], news["programId"], news["fields"]) == ("changed", program_id, ["active"])
    assert 0 <= news["delayMs"] <= news["tasksMs"]


def test_the_example_in_python_follows_the_totals(stack: Stack) -> None:
    program_id = new_program(stack)
    with running("follow.py", stack.file.trackers[0]) as lines:
        stack.trackers[1].get(f"/event/{program_id}")

        assert f"{program_id} views 1 clicks 0 conversions 0 invalid 0" in seen(lines, program_id, "views 1")


def test_the_example_in_python_subscribes(stack: Stack) -> None:
    program_id = new_program(stack)
    before = subscribers(stack)
    with running("subscribe.py", stack.file.redis_url) as lines:
        until(lambda: subscribers(stack) > before, timeout_s=10)
        assert change(stack, program_id)

        assert re.fullmatch(rf"\d+ program {program_id}", seen(lines, program_id))


@pytest.mark.parametrize("name", ["follow.py", "subscribe.py"])
def test_the_examples_are_those_that_the_document_shows(name: str) -> None:
    shown = DOCUMENT.read_text().partition(f"`docs/examples/{name}`:\n\n```python\n")[2].partition("```")[0]

    assert len(shown.splitlines()) >= 5
    assert shown in (EXAMPLES / name).read_text()


def test_the_messages_that_the_document_shows_are_such() -> None:
    messages = [
        decode_invalidation(msgspec.json.decode(each)) for each in SHOWN.findall(DOCUMENT.read_text())
    ]

    assert [type(each) for each in messages] == [ProgramInvalidated, TotalsPublished]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_is_answered_as_the_document_shows(stack: Stack) -> None:
    command, shown = TRANSCRIPT["curl"]
    stack.trackers[0].get("/event/212313")

    def answer() -> list[str]:
        here = command.replace("localhost:8080", stack.file.trackers[0].removeprefix("http://"))
        answered = subprocess.check_output(here, shell=True, text=True, timeout=20)
        return answered.splitlines() if '"failures"' in answered else []

    lines = until(answer, timeout_s=20)

    assert [line.partition(": ")[0] for line in lines[:5]] == [line.partition(": ")[0] for line in shown]
    assert lines[0] == shown[0]
    told = {name for line in lines for name in SECTION.findall(line)}
    assert set(SECTION.findall(shown[4])) <= told


@pytest.mark.parametrize("listen", ["redis_cli", "raw"])
def test_a_plain_subscriber_hears_what_the_document_shows(stack: Stack, listen: str) -> None:
    command, shown = TRANSCRIPT["redis-cli"]
    listening = with_redis_cli if listen == "redis_cli" else with_a_socket
    before = subscribers(stack)
    with listening(stack, command) as lines:
        until(lambda: subscribers(stack) > before, timeout_s=10)
        body = BODY | {"name": "Autumn sale"}
        assert stack.trackers[0].put("/programs/212313?wait=true", json=body).status_code == 200
        stack.trackers[0].get("/event/212313")

        heard, left = [], [DIGITS.sub("0", line) for line in shown]
        while left and (line := next(lines, None)) is not None:
            heard.append(line)
            left = left[1:] if DIGITS.sub("0", line) == left[0] else left

    assert left == [], heard


def assert_told(tracker: httpx.Client, program_id: str, totals: list[int]) -> None:
    until(lambda: [program_id, *totals] in told(tracker, "totals"), timeout_s=10)
    (program,) = [each for each in told(tracker, "programs") if each["programId"] == program_id]
    assert program["name"] == "first"


def told(tracker: httpx.Client, section: str) -> list[Any]:
    """All of a section that a tracker tells at once."""
    with tracker.stream("GET", "/live/stream?once=true") as stream:
        return [each for event in sections(stream) for each in event.get(section, ())]


def sections(stream: httpx.Response) -> Iterator[dict[str, list[Any]]]:
    for line in stream.iter_lines():
        if line.startswith("data: "):
            yield msgspec.json.decode(line.removeprefix("data: "))


def by_all(changes: Any, version: int, *, tasks: int) -> Any:
    return next((each for each in changes if each["version"] == version and each["tasks"] == tasks), None)


@contextmanager
def running(example: str, address: str) -> Iterator[Iterator[str]]:
    """The lines that an example prints, from its first on."""
    command = [sys.executable, str(EXAMPLES / example), address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield map(str.strip, process.stdout)
        finally:
            process.terminate()


@contextmanager
def with_redis_cli(stack: Stack, command: str) -> Iterator[Iterator[str]]:
    """What the client prints at a terminal."""
    client = shutil.which("redis-cli") or shutil.which("valkey-cli")
    if client is None:
        pytest.skip("neither redis-cli nor valkey-cli is installed; on Debian: apt-get install redis-tools")
    words = [client, "-u", stack.file.redis_url, "--no-raw", *command.split()[1:]]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        giving_up = threading.Timer(LISTEN_S, process.terminate)
        giving_up.start()
        try:
            yield map(str.rstrip, process.stdout)
        finally:
            giving_up.cancel()
            process.terminate()


@contextmanager
def with_a_socket(stack: Stack, command: str) -> Iterator[Iterator[str]]:
    """The same without a client, in Redis's own protocol."""
    url = httpx.URL(stack.file.redis_url)
    with socket.create_connection((url.host, url.port), timeout=LISTEN_S) as connection:
        connection.sendall(" ".join(command.split()[1:]).encode() + b"\r\n")
        with connection.makefile("rb") as replies:
            yield as_printed(replies)


def as_printed(replies: BinaryIO) -> Iterator[str]:
    """Each reply, an array of texts and numbers, as redis-cli prints it."""
    while head := replies.readline():
        for number in range(1, int(head[1:]) + 1):
            kind, rest = replies.read(1), replies.readline()
            if kind == b":":
                yield f"{number}) (integer) {int(rest)}"
            else:
                text = replies.read(int(rest) + 2)[:-2].decode().replace('"', '\\"')
                yield f'{number}) "{text}"'


def subscribers(stack: Stack) -> int:
    ((_, number),) = stack.redis.pubsub_numsub(stack.file.redis_channel)
    return int(number)


def seen(lines: Iterator[str], *words: str) -> str:
    return next(line for line in lines if all(word in line for word in words))


def change(stack: Stack, program_id: str) -> bool:
    answer = stack.trackers[0].put(f"/programs/{program_id}?wait=true", json=BODY)
    return answer.status_code == 200


def new_program(stack: Stack) -> str:
    program_id = f"live-{uuid4().hex[:8]}"
    assert change(stack, program_id)
    return program_id
