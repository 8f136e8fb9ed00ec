"""The README's walk does what it says: its commands are run, its answers compared."""

import re
import shutil
import subprocess

import pytest

from tests.system.conftest import ROOT, Stack

CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
VARIES = re.compile(r'"messageId":"[^"]+"|"version":\d+|curl/[\d.]+')


def walk() -> list[tuple[str, str]]:
    blocks = CONSOLE.findall((ROOT / "README.md").read_text())
    return [step for block in blocks for step in COMMAND.findall(block)]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_walk_with_curl_gives_the_answers_that_the_readme_shows(stack: Stack) -> None:
    steps = walk()
    assert len(steps) >= 7
    for command, shown in steps:
        assert same(run(command, stack), shown)


def run(command: str, stack: Stack) -> str:
    for port, url in zip(("8080", "8081"), stack.file.trackers, strict=True):
        command = command.replace(f"localhost:{port}", url.removeprefix("http://"))
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout


def same(answer: str, shown: str) -> bool:
    return VARIES.sub("", answer).strip() == VARIES.sub("", shown).strip()
