"""Fixtures of the templates' tests: each profile is synthesised once, and read as JSON from then on."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from cdk.profiles import PROFILES
from tests.cdk.templates import Assembly

ROOT = Path(__file__).resolve().parents[2]
IMAGES = {
    "containerImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/tracker:1",
    "workerImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/workers:1",
}
"""Built already: neither Docker nor the sources are asked for."""


class Synthesis:
    """Synthesises with cdk.json's own flags, in this process, into a directory of its own each time."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self._factory = factory
        self._bundles: dict[str, Path] = {}

    def __call__(self, context: Mapping[str, object], *, code: str = "") -> Assembly:
        """`code` is all that is in the functions' bundles."""
        from aws_cdk import App

        from cdk.app import synthesise

        outdir = self._factory.mktemp("cdk.out")
        flags = json.loads((ROOT / "cdk.json").read_text())["context"]
        app = App(context={**flags, **IMAGES, **context}, outdir=str(outdir))
        synthesise(app, bundle=lambda name: self._bundle(code))
        return Assembly(outdir)

    def _bundle(self, code: str) -> Path:
        if code not in self._bundles:
            self._bundles[code] = self._factory.mktemp("bundle")
            (self._bundles[code] / "handler.py").write_text(code)
        return self._bundles[code]


@pytest.fixture(scope="session")
def synthesise(tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    os.environ["JSII_NODE"] = str(Path(sys.executable).with_name("node"))
    os.environ["JSII_DEPRECATED"] = "fail"
    return Synthesis(tmp_path_factory)


@pytest.fixture(scope="session")
def assemblies(synthesise: Synthesis) -> dict[str, Assembly]:
    """Every profile's templates."""
    return {name: synthesise({"profile": name}) for name in PROFILES}


@pytest.fixture(params=PROFILES)
def assembly(request: pytest.FixtureRequest, assemblies: dict[str, Assembly]) -> Assembly:
    """The templates of one profile after the other."""
    return assemblies[request.param]
