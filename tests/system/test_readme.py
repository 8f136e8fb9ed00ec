"""What the documents say at a console is so: their commands are run, their answers compared."""

import re
import shutil
import subprocess
from functools import partial

import pytest

from tests.system.conftest import ROOT, Stack, until

CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
WALKS = [("README.md", 7), ("docs/getting-started.md", 7), ("docs/ways-in.md", 5), ("docs/api.md", 5)]
"""How many commands each has, at least."""
SETTLES = ('"totals"', '"receivedAtMs"')
"""What is told of stored events is so in the end."""
SETTLED_TIMEOUT_S = 20
VARIES = re.compile(r'"messageId":"[^"]+"|"(?:version|programVersion|receivedAtMs)":\d+|curl/[\d.]+')


def walk(document: str) -> list[tuple[str, str]]:
    blocks = CONSOLE.findall((ROOT / document).read_text())
    return [step for block in blocks for step in COMMAND.findall(block)]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(("document", "count"), WALKS)
def test_a_walk_with_curl_gives_the_answers_that_it_shows(stack: Stack, document: str, count: int) -> None:
    steps = walk(document)
    assert len(steps) >= count
    for command, shown in steps:
        if any(each in shown for each in SETTLES):
            until(partial(gives, command, shown, stack), timeout_s=SETTLED_TIMEOUT_S)
        else:
            assert same(run(command, stack), shown)


def gives(command: str, shown: str, stack: Stack) -> bool:
    return same(run(command, stack), shown)


def run(command: str, stack: Stack) -> str:
    for port, url in zip(("8080", "8081"), stack.file.trackers, strict=True):
        command = command.replace(f"localhost:{port}", url.removeprefix("http://"))
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout


def same(answer: str, shown: str) -> bool:
    return VARIES.sub("", answer).strip() == VARIES.sub("", shown).strip()
