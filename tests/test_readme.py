"""The tables of settings are complete and right, and what documents link to is there."""

import re
from pathlib import Path

import msgspec
import pytest

from lambdas.settings import PersistSettings, RefreshSettings
from tracker.settings import TrackerSettings
from workers.settings import HostSettings, WorkerSettings

README = Path(__file__).resolve().parents[1] / "README.md"
SETTINGS = README.parent / "docs" / "settings.md"
TAKERS: dict[str, type[msgspec.Struct]] = {
    "tracker": TrackerSettings,
    "persist": PersistSettings,
    "refresh": RefreshSettings,
    "Lambda hosts": HostSettings,
    "workers": WorkerSettings,
}
LINK = re.compile(r"\]\(([^)#]+)")
ROW = re.compile(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.+) \|$", re.MULTILINE)


@pytest.mark.parametrize("taker", TAKERS)
def test_every_variable_is_named_with_its_default(taker: str) -> None:
    rows = ROW.findall(SETTINGS.read_text())
    told = {name: default for name, default, takers, _ in rows if taker in takers}

    assert told == {spec.encode_name: shown(spec) for spec in msgspec.structs.fields(TAKERS[taker])}


def test_the_readme_says_of_the_first_of_them_what_is_said_of_all() -> None:
    some = set(ROW.findall(README.read_text()))

    assert len(some) > 5
    assert some <= set(ROW.findall(SETTINGS.read_text()))


def shown(spec: msgspec.structs.FieldInfo) -> str:
    if spec.required:
        return "required"
    default = msgspec.json.encode(spec.default).decode().strip('"')
    return f"`{default}`" if default else ""


@pytest.mark.parametrize("document", [README, *sorted((README.parent / "docs").rglob("*.md"))], ids=str)
def test_what_a_document_links_to_is_there(document: Path) -> None:
    targets = [target for target in LINK.findall(document.read_text()) if "://" not in target]

    assert [target for target in targets if not (document.parent / target).exists()] == []
