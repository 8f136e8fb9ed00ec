"""What each stack of the standard profile comes to, kept, so that a change of it is seen in a review.

UPDATE_SNAPSHOTS=1 make test ARGS=tests/cdk/test_snapshots.py
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cdk.templates import Assembly

SNAPSHOTS = Path(__file__).parent / "snapshots"
STACKS = ("cache", "data", "functions", "monitoring", "network", "services")
HASH = re.compile(r"\b[0-9a-f]{64}\b")
"""Of an asset: it changes with every change of code, and says nothing here."""


def normalised(template: Any) -> str:
    """As text with sorted keys, without what belongs to CDK and not to the system."""
    kept = {key: value for key, value in template.items() if key not in ("Parameters", "Rules")}
    for resource in kept["Resources"].values():
        resource.get("Metadata", {}).pop("aws:asset:path", None)
    return HASH.sub("<hash>", json.dumps(kept, indent=1, sort_keys=True)) + "\n"


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_is_as_it_was_last_looked_at(assemblies: dict[str, Assembly], stack: str) -> None:
    file = SNAPSHOTS / f"{stack}.json"
    made = normalised(assemblies["standard"].copy().templates[stack])

    if os.environ.get("UPDATE_SNAPSHOTS"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(made)

    assert made == file.read_text()


def test_a_snapshot_does_not_change_with_the_code(assemblies: dict[str, Assembly]) -> None:
    template = assemblies["standard"].copy().templates["functions"]
    code = template["Resources"][assemblies["standard"].logical_id("AWS::Lambda::Function", "Persist")]
    before = normalised(template)

    code["Properties"]["Code"]["S3Key"] = "a" * 64 + ".zip"

    assert normalised(template) == before
