"""Carries out a Dockerfile's steps without an engine: each stage in a folder, its commands on this Python.

Paths in the image (`/app`) stand for paths in the stage's folder. What a base image brings, and USER, are
left out: this machine's interpreter, without any package, takes the place of the first.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from msgspec import Struct, field, json

COMMENT = re.compile(r"^#.*\n", re.MULTILINE)
FROM_STAGE = "--from="


class Stage(Struct):
    """What a FROM begins: a file system, and how its commands are run."""

    root: Path
    name: str
    workdir: Path
    environment: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    """The argument of each other instruction, as it stands there last: USER, EXPOSE, ENTRYPOINT, ..."""

    def path(self, inside: str) -> Path:
        return self.root / inside[1:] if inside.startswith("/") else self.workdir / inside

    def command(self, instruction: str) -> list[str]:
        """The words of an instruction in exec form; HEALTHCHECK's are those of its CMD."""
        words = self.settings[instruction]
        return json.decode(words[words.index("[") :], type=list[str])


class Images:
    """Builds Dockerfiles from one context folder, each into folders below `folder`."""

    def __init__(self, context: Path, folder: Path) -> None:
        self._context = context
        self._folder = folder
        self._stages: list[Stage] = []
        self._python = folder / "python"
        subprocess.run([sys.executable, "-m", "venv", self._python], check=True)

    def build(self, dockerfile: Path) -> Stage:
        """Returns the last stage. Raises CalledProcessError where a RUN fails."""
        for instruction, argument in instructions(dockerfile.read_text()):
            self._carry_out(instruction, argument)
        return self._stages[-1]

    def environment(self, stage: Stage) -> dict[str, str]:
        """Of a command in the stage: nothing but what ENV says, and this Python."""
        inside = {name: self._mapped(stage, value) for name, value in stage.environment.items()}
        return {
            "PATH": f"{self._python / 'bin'}:{os.defpath}",
        } | inside

    def _mapped(self, stage: Stage, value: str) -> str:
        return str(stage.path(value)) if value.startswith("/") else value

    def _carry_out(self, instruction: str, argument: str) -> None:
        match instruction:
            case "FROM":
                self._begin(argument)
            case "WORKDIR":
                stage = self._stages[-1]
                stage.workdir = stage.path(argument)
                stage.workdir.mkdir(parents=True, exist_ok=True)
            case "ENV":
                pairs = (word.partition("=") for word in shlex.split(argument))
                self._stages[-1].environment |= {name: value for name, _, value in pairs}
            case "COPY":
                self._copy(shlex.split(argument))
            case "RUN":
                self._run(argument)
            case _:
                self._stages[-1].settings[instruction] = argument

    def _begin(self, argument: str) -> None:
        root = self._folder / f"stage-{len(self._stages)}"
        root.mkdir()
        self._stages.append(Stage(root, argument.rpartition(" AS ")[2], root))

    def _copy(self, words: list[str]) -> None:
        source, target = words[-2:]
        destination = self._stages[-1].path(target)
        if words[0].startswith(FROM_STAGE):
            origin = next(
                each for each in reversed(self._stages) if each.name == words[0].removeprefix(FROM_STAGE)
            )
            shutil.copytree(origin.path(source), destination, dirs_exist_ok=True)
        elif (self._context / source).is_dir():
            self._copy_folder(source, destination)
        else:
            self._copy_file(Path(source), destination / Path(source).name)

    def _copy_folder(self, source: str, destination: Path) -> None:
        for file in (self._context / source).rglob("*"):
            if file.is_file():
                inside = file.relative_to(self._context)
                self._copy_file(inside, destination / inside.relative_to(source))

    def _copy_file(self, inside: Path, target: Path) -> None:
        if not is_ignored(inside, (self._context / ".dockerignore").read_text()):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._context / inside, target)

    def _run(self, command: str) -> None:
        stage = self._stages[-1]
        subprocess.run(
            command, shell=True, check=True, cwd=stage.workdir, env=os.environ | self.environment(stage)
        )


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Each instruction of a Dockerfile and its argument, as one line."""
    for line in COMMENT.sub("", text).replace("\\\n", "").splitlines():
        if line.strip():
            instruction, _, argument = line.partition(" ")
            yield instruction, " ".join(argument.split())


def is_ignored(path: Path, rules: str) -> bool:
    """Whether a context leaves a file out: the last rule that fits the file or a folder above it decides."""
    ignored = False
    for rule in rules.splitlines():
        pattern = rule.removeprefix("!").removeprefix("**/")
        names = {str(each) for each in (path, *path.parents)} | (set(path.parts) if "**/" in rule else set())
        if rule and not rule.startswith("#") and any(fnmatch(name, pattern) for name in names):
            ignored = not rule.startswith("!")
    return ignored
