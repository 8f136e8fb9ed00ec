import stat
from pathlib import Path
from typing import NamedTuple, get_args

import pytest

from cdk.assets import BundleError, FunctionName, Platform, build, lambda_bundle

NAMES: tuple[FunctionName, ...] = get_args(FunctionName)
SIZE_MAX_BYTES = 15_000_000
ELF_MAGIC = b"\x7fELF"
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
    others = {f"{each}.py" for each in NAMES if each != name}

    assert {each.name for each in bundle.iterdir() if each.suffix != ".dist-info"} == packages
    assert {each.suffix or each.name for each in files(bundle)} <= {".py", ".so", "METADATA", "LICENSE"}
    assert (bundle / "lambdas" / f"{name}.py").exists()
    assert not others & {each.name for each in files(bundle / "lambdas")}


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
def test_two_builds_are_the_same_bytes(name: FunctionName, tmp_path: Path) -> None:
    first, second = (build(name, tmp_path / each) for each in ("first", "second"))

    assert entries(first) == entries(second) == entries(lambda_bundle(name))


def test_a_bundle_that_cannot_be_built_says_which_package_is_missing(tmp_path: Path) -> None:
    ancient = Platform("python2.7", ("--python-version", "2.7"))

    with pytest.raises(BundleError, match="msgspec"):
        build("persist", tmp_path / "persist", platform=ancient)
