import subprocess
import sys
from pathlib import Path

import pytest

from cdk.assets import ROOT

SERVICES = ("tracker", "workers")
HADOLINT = Path(sys.executable).parent / "hadolint"


def pins(lock: Path) -> set[str]:
    return {line.split()[0] for line in lock.read_text().splitlines() if "==" in line}


@pytest.mark.parametrize("service", SERVICES)
def test_a_dockerfile_is_free_of_findings(service: str) -> None:
    linting = subprocess.run(
        [HADOLINT, "--no-color", ROOT / service / "Dockerfile"], capture_output=True, text=True
    )

    assert (linting.returncode, linting.stdout) == (0, "")


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_installs_what_was_tested(service: str) -> None:
    assert pins(ROOT / service / "requirements.lock") <= pins(ROOT / "requirements.lock"), "run `make lock`"
