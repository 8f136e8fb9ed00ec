"""The README's table of settings is complete and right."""

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
