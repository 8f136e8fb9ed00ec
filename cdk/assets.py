"""The functions' code as directories ready to deploy, built without Docker, the same bytes each time."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha256
from modulefinder import ModuleFinder
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from msgspec import Struct

from schemas.errors import TrackerError

FunctionName = Literal["persist", "refresh"]

ROOT = Path(__file__).resolve().parent.parent
BUNDLES = ROOT / ".run" / "bundles"
LOCK = ROOT / "requirements.lock"
PACKAGES: dict[FunctionName, tuple[str, ...]] = {"persist": ("msgspec",), "refresh": ("msgspec", "redis")}
"""What a function takes from outside. boto3 is the runtime's."""
KEPT = {".py", ".so", "METADATA", "LICENSE"}
"""Of a wheel, by suffix or name: what is executed, and what says what it is (Amazon Inspector reads that).
"""
LAMBDA_PYTHON = "3.13"
THIS_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
TASK_ROOT = "/var/task"
"""Where Lambda puts a bundle: on a file system that keeps no bytecode from one cold start to the next."""
EPOCH_S = 315_532_800
"""1980, the first year that a zip file can tell."""


class BundleError(TrackerError):
    """A bundle could not be built: a package is not in the lock, or pip did not get it."""


class Platform(Struct, frozen=True):
    """What wheels are chosen for, and which Python executes them."""

    name: str
    python: str
    pip_options: tuple[str, ...] = ()


LAMBDA = Platform(
    f"python{LAMBDA_PYTHON}-arm64",
    LAMBDA_PYTHON,
    (
        *("--python-version", LAMBDA_PYTHON),
        *("--implementation", "cp"),
        *("--platform", "manylinux2014_aarch64"),
        *("--platform", "manylinux_2_28_aarch64"),
    ),
)
"""Amazon Linux 2023, glibc 2.34 (AWS Lambda Developer Guide, "Lambda runtimes")."""
THIS_MACHINE = Platform(f"python{THIS_PYTHON}-{sysconfig.get_platform()}", THIS_PYTHON)
"""To execute a bundle here, by the interpreter that builds it."""


def lambda_bundle(name: FunctionName, *, platform: Platform = LAMBDA) -> Path:
    """All of a function's code in one directory, for `Code.from_asset`; handler `lambdas.<name>.handler`.

    Built once for the same sources, lock and platform. Holds bytecode where this machine has the platform's
    Python, which takes two thirds off the import. Raises BundleError.
    """
    bundle = BUNDLES / platform.name / f"{name}-{_digest(name, platform)}"
    if not bundle.exists():
        bundle.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=bundle.parent) as folder:
            _move(build(name, Path(folder, name), platform=platform), bundle)
        _remove_others(bundle, f"{name}-*")
    return bundle


def build(name: FunctionName, folder: Path, *, platform: Platform = LAMBDA) -> Path:
    """Builds into `folder`, which must not exist, and returns it. Raises BundleError."""
    _install(_pins(PACKAGES[name]), folder, platform)
    for source in _sources(name):
        target = folder / source.relative_to(ROOT)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(source, target)
    _prune(folder)
    if interpreter := _interpreter(platform.python):
        _compile(interpreter, folder)
    _normalise(folder)
    return folder


def _install(pins: Sequence[str], folder: Path, platform: Platform) -> None:
    options = ("--quiet", "--no-deps", "--no-compile", "--only-binary", ":all:", "--require-hashes")
    command = [sys.executable, "-m", "pip", "install", *options, *platform.pip_options]
    with TemporaryDirectory() as lock:
        requirements = Path(lock, "requirements.txt")
        requirements.write_text("\n".join(pins))
        pip = subprocess.run(
            [*command, "--target", str(folder), "--requirement", str(requirements)],
            capture_output=True,
            text=True,
        )
    if pip.returncode:
        raise BundleError(f"pip could not get {', '.join(map(_package, pins))}: {pip.stderr.strip()}")


def _prune(folder: Path) -> None:
    for path in [each for each in folder.rglob("*") if each.is_file()]:
        if KEPT.isdisjoint((path.suffix, path.name)):
            path.unlink()


def _compile(interpreter: str, folder: Path) -> None:
    """To bytecode that is taken as it is, whatever the time of its source (PEP 552)."""
    options = ("-q", "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", TASK_ROOT)
    subprocess.run([interpreter, "-m", "compileall", *options, str(folder)], check=True)


@cache
def _interpreter(python: str) -> str | None:
    """An interpreter of that version, where this machine has one."""
    found = sys.executable if python == THIS_PYTHON else shutil.which(f"python{python}")
    works = found and subprocess.run([found, "-c", ""], stderr=subprocess.DEVNULL).returncode == 0
    return found if works else None


def _normalise(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (EPOCH_S, EPOCH_S))
    os.utime(folder, (EPOCH_S, EPOCH_S))


def _move(built: Path, bundle: Path) -> None:
    try:
        built.rename(bundle)
    except OSError:
        if not bundle.exists():  # else another process was first, with the same bytes
            raise


def _remove_others(bundle: Path, pattern: str) -> None:
    for outdated in bundle.parent.glob(pattern):
        if outdated != bundle:
            shutil.rmtree(outdated, ignore_errors=True)


def _digest(name: FunctionName, platform: Platform) -> str:
    is_compiled = _interpreter(platform.python) is not None
    digest = sha256(repr((platform, is_compiled, _pins(PACKAGES[name]))).encode())
    for source in (Path(__file__), *_sources(name)):
        digest.update(f"{source.relative_to(ROOT)}\0{source.stat().st_size}\0".encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _sources(name: FunctionName) -> list[Path]:
    """The modules of this repository that the function imports, and those that these import."""
    finder = ModuleFinder(path=[str(ROOT)])
    finder.import_hook(f"lambdas.{name}")
    files = (getattr(each, "__file__", None) for each in finder.modules.values())
    return sorted(Path(each) for each in files if each)


def _pins(packages: Sequence[str]) -> list[str]:
    pinned = {_package(each): each for each in _requirements()}
    if missing := [each for each in packages if each not in pinned]:
        raise BundleError(f"not in {LOCK.name}: {', '.join(missing)}")
    return [pinned[each] for each in packages]


def _requirements() -> Iterator[str]:
    """Each package of the lock with its version and hashes, as one line."""
    yield from LOCK.read_text().replace("\\\n", "").splitlines()


def _package(requirement: str) -> str:
    return requirement.partition("==")[0]
