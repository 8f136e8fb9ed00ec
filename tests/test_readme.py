"""The README's table of settings is complete and right, and what documents link to is there."""

import re
from pathlib import Path

import msgspec
import pytest

from lambdas.settings import PersistSettings, RefreshSettings
from tracker.settings import TrackerSettings
from workers.settings import HostSettings, WorkerSettings

README = Path(__file__).resolve().parents[1] / "README.md"
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
def test_the_readme_names_every_variable_with_its_default(taker: str) -> None:
    told = {name: default for name, default, takers, _ in ROW.findall(README.read_text()) if taker in takers}

    assert told == {spec.encode_name: shown(spec) for spec in msgspec.structs.fields(TAKERS[taker])}


def shown(spec: msgspec.structs.FieldInfo) -> str:
    if spec.required:
        return "required"
    default = msgspec.json.encode(spec.default).decode().strip('"')
    return f"`{default}`" if default else ""


@pytest.mark.parametrize("document", [README, *sorted((README.parent / "docs").rglob("*.md"))], ids=str)
def test_what_a_document_links_to_is_there(document: Path) -> None:
    targets = [target for target in LINK.findall(document.read_text()) if "://" not in target]

    assert [target for target in targets if not (document.parent / target).exists()] == []
