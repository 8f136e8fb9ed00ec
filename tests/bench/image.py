"""`python -m tests.bench.image ABSENT MODULE ARGUMENTS`: a module as it runs in the tracker's image.

ABSENT names packages, by commas, that this machine has for other purposes and the image has not. Some
library would import one of them only because it is there, and the task would be larger than a deployed one.
"""

import re
import runpy
import sys
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

LOCK = Path("tracker/requirements.lock")
_PINNED = re.compile(r"^([\w.-]+)==", re.MULTILINE)
_SEPARATORS = re.compile(r"[-_.]+")


@cache
def absent(lock: Path = LOCK) -> str:
    """The packages that are installed here and that `lock` does not list."""
    listed = {_normalised(name) for name in _PINNED.findall(lock.read_text())}
    installed = packages_distributions().items()
    return ",".join(
        sorted(name for name, made_by in installed if listed.isdisjoint(map(_normalised, made_by)))
    )


def _normalised(name: str) -> str:
    """As the index compares names (Python Packaging User Guide, "Names and normalization")."""
    return _SEPARATORS.sub("-", name).lower()


def main() -> None:
    _, names, module, *arguments = sys.argv
    sys.modules.update(dict.fromkeys(names.split(",")))  # type: ignore[arg-type]  # None: cannot be imported
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
