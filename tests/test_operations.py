"""The runbook has a section for every alarm, and its commands and settings are there."""

import re
from pathlib import Path

import pytest

from schemas.errors import TrackerError
from tests.cdk.test_monitoring import WATCHED
from tests.test_api import calls
from workers.__main__ import COMMANDS, main

ROOT = Path(__file__).resolve().parents[1]
RUNBOOK = (ROOT / "docs/operations.md").read_text()
HEADING = re.compile(r"^### (.+)$", re.MULTILINE)
COMMAND = re.compile(r"`python -m workers ([^`]+)`")
VARIABLE = re.compile(r"\b(?:TRACKER|WORKER|LAMBDA|LOG)_[A-Z_]+\b")
PARTS = ("*Meaning.*", "*First look.*", "*Fix.*")


def sections() -> dict[str, str]:
    """By alarm."""
    _, *parts = HEADING.split(RUNBOOK)
    headed = zip(parts[::2], parts[1::2], strict=True)
    return {name: text for heading, text in headed for name in heading.split(", ")}


def test_every_alarm_has_its_section_and_nothing_else_has() -> None:
    assert sections().keys() == WATCHED


@pytest.mark.parametrize("alarm", sorted(WATCHED))
def test_a_section_says_what_it_means_where_to_look_and_what_to_do(alarm: str) -> None:
    assert [part for part in PARTS if part in sections()[alarm]] == [*PARTS]


def test_every_command_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    commands = {found.replace("\n", " ") for found in COMMAND.findall(RUNBOOK)}

    for command in commands:
        # Without settings a command that is understood ends with 2 and says which it needs.
        assert main(command.split(), {}) == 2, command
        assert "is not set" in capsys.readouterr().err
    assert {command.split()[0] for command in commands} <= COMMANDS.keys()


def test_every_variable_is_among_the_settings() -> None:
    settings = (ROOT / "docs" / "settings.md").read_text()

    assert {name for name in VARIABLE.findall(RUNBOOK) if f"`{name}`" not in settings} == set()


def test_every_reason_is_published() -> None:
    published = {kind.reason for kind in _tree(TrackerError)}

    for reason in ("not_acknowledged", "buffer_full", "core_data_unavailable", "draining", "bad_frame"):
        assert reason in RUNBOOK
        assert reason in published


def _tree(root: type[TrackerError]) -> list[type[TrackerError]]:
    return [root, *(kind for child in root.__subclasses__() for kind in _tree(child))]


def test_the_calls_that_it_names_are_there() -> None:
    told = "\n".join(calls())

    for call in ("GET /metrics", "GET /health/ready", "GET /events/{messageId}", "POST /cache/purge"):
        assert call in RUNBOOK
        assert call in told
