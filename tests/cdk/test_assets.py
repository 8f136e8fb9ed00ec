import stat
import subprocess
import sys
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path
from typing import NamedTuple, get_args

import pytest

from cdk.assets import (
    KEPT,
    LAMBDA,
    ROOT,
    THIS_MACHINE,
    BundleError,
    FunctionName,
    Platform,
    build,
    lambda_bundle,
)

NAMES: tuple[FunctionName, ...] = get_args(FunctionName)
SIZE_MAX_BYTES = 15_000_000
ELF_MAGIC = b"\x7fELF"
UNCHECKED_HASH = (1).to_bytes(4, "little")
"""The flags of bytecode that is not compared with its source (PEP 552)."""
AARCH64 = 183
"""e_machine of an ELF header, at bytes 18 and 19 (elf.h, EM_AARCH64)."""


class Entry(NamedTuple):
    """Everything of a file that a deployment can tell apart."""

    path: str
    mode: int
    mtime_ns: int
    content: bytes


def entries(bundle: Path) -> list[Entry]:
    return [entry(each, bundle) for each in (bundle, *sorted(bundle.rglob("*")))]


def entry(path: Path, bundle: Path) -> Entry:
    status = path.stat()
    content = path.read_bytes() if path.is_file() else b""
    return Entry(str(path.relative_to(bundle)), stat.S_IMODE(status.st_mode), status.st_mtime_ns, content)


def files(bundle: Path) -> list[Path]:
    return [each for each in bundle.rglob("*") if each.is_file()]


def own_modules(bundle: Path) -> set[str]:
    """Of this repository."""
    paths = (each.relative_to(bundle).with_suffix("") for each in files(bundle))
    modules = {".".join(each.parts).removesuffix(".__init__") for each in paths}
    return {each for each in modules if each.partition(".")[0] in ("lambdas", "schemas")}


def imported_modules(name: FunctionName) -> set[str]:
    """Of this repository, as a new interpreter has them once it has imported the function."""
    program = f"import lambdas.{name}, sys; print(*sys.modules)"
    modules = subprocess.check_output([sys.executable, "-c", program], text=True, cwd=ROOT).split()
    return {each for each in modules if each.partition(".")[0] in ("lambdas", "schemas")}


@pytest.mark.parametrize("name", NAMES)
def test_a_bundle_stays_small(name: FunctionName) -> None:
    assert 0 < sum(each.stat().st_size for each in files(lambda_bundle(name))) < SIZE_MAX_BYTES


@pytest.mark.parametrize(
    ("name", "packages"),
    [("persist", {"lambdas", "schemas", "msgspec"}), ("refresh", {"lambdas", "schemas", "msgspec", "redis"})],
)
def test_a_bundle_holds_what_its_function_imports_and_nothing_else(
    name: FunctionName, packages: set[str]
) -> None:
    bundle = lambda_bundle(name)

    assert {each.name for each in bundle.iterdir() if each.suffix != ".dist-info"} == packages
    assert {each.suffix or each.name for each in files(bundle)} <= KEPT | {".pyc"}
    assert own_modules(bundle) == imported_modules(name)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_compiled_is_for_the_functions_runtime(name: FunctionName) -> None:
    compiled = [each for each in files(lambda_bundle(name)) if each.suffix == ".so"]

    assert compiled
    for each in compiled:
        header = each.read_bytes()[:20]
        assert header.startswith(ELF_MAGIC)
        assert int.from_bytes(header[18:20], "little") == AARCH64
        assert "cpython-313" in each.name


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("platform", [LAMBDA, THIS_MACHINE], ids=["lambda", "this machine"])
def test_two_builds_are_the_same_bytes(name: FunctionName, platform: Platform, tmp_path: Path) -> None:
    first, second = (build(name, tmp_path / each, platform=platform) for each in ("first", "second"))

    assert entries(first) == entries(second) == entries(lambda_bundle(name, platform=platform))


@pytest.mark.parametrize("name", NAMES)
def test_a_bundle_looks_to_cdk_like_a_directory(name: FunctionName) -> None:
    assert lambda_bundle(name).suffix == "", "CDK would take it for the asset's extension"


@pytest.mark.parametrize("name", NAMES)
def test_every_module_has_its_bytecode_where_the_platforms_python_is_here(name: FunctionName) -> None:
    bundle = lambda_bundle(name, platform=THIS_MACHINE)
    modules = [each for each in files(bundle) if each.suffix == ".py"]

    for each in modules:
        bytecode = Path(cache_from_source(str(each))).read_bytes()
        assert bytecode[:8] == MAGIC_NUMBER + UNCHECKED_HASH


def test_a_bundle_that_cannot_be_built_says_which_package_is_missing(tmp_path: Path) -> None:
    ancient = Platform("ancient", "2.7", ("--python-version", "2.7"))

    with pytest.raises(BundleError, match="msgspec"):
        build("persist", tmp_path / "persist", platform=ancient)
