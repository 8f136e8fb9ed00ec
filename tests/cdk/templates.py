"""CloudFormation templates as JSON, and what their references come to across stacks."""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::URLSuffix": "amazonaws.com",
}
Properties = dict[str, Any]


class Assembly:
    """The templates of one deployment, by the last word of their stack's name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.templates: dict[str, Any] = {
            path.name.partition(".")[0].rpartition("-")[2]: json.loads(path.read_text())
            for path in sorted(folder.glob("*.template.json"))
        }

    def copy(self) -> "Assembly":
        """One to change without harm."""
        other = Assembly.__new__(Assembly)
        other.folder, other.templates = self.folder, deepcopy(self.templates)
        return other

    def resources(self, kind: str) -> dict[str, Any]:
        """All resources of a type, by their stack and logical id."""
        return {name: each for name, each in self._resources() if each["Type"] == kind}

    def all(self, kind: str) -> list[Properties]:
        """The properties of each resource of a type."""
        return [each.get("Properties", {}) for each in self.resources(kind).values()]

    def one(self, kind: str, named: str = "") -> Properties:
        """The properties of the one resource of a type that has this in its logical id."""
        properties: Properties = self.resources(kind)[self._only(kind, named)]["Properties"]
        return properties

    def logical_id(self, kind: str, named: str = "") -> str:
        """Of the one resource of a type that has this in it."""
        return self._only(kind, named).partition("/")[2]

    def asset_images(self, stack: str) -> list[Properties]:
        """What the images of a stack are built from."""
        (path,) = self.folder.glob(f"*-{stack}.assets.json")
        return [each["source"] for each in json.loads(path.read_text())["dockerImages"].values()]

    def resolved(self, value: Any) -> Any:
        """What a property comes to: text, where each resource is its logical id."""
        match value:
            case {"Ref": name}:
                return PSEUDO.get(name, name)
            case {"Fn::GetAtt": [name, attribute]}:
                return name if attribute == "Arn" else f"{name}.{attribute}"
            case {"Fn::ImportValue": export}:
                return self.resolved(self._exports()[export])
            case {"Fn::Join": [glue, parts]}:
                return glue.join(str(self.resolved(part)) for part in parts)
            case {"Fn::Sub": text}:
                return re.sub(r"\$\{([^}]+)\}", lambda found: PSEUDO[found[1]], text)
            case dict():
                return {key: self.resolved(each) for key, each in value.items()}
            case list():
                return [self.resolved(each) for each in value]
        return value

    def _only(self, kind: str, named: str) -> str:
        found = [name for name in self.resources(kind) if named in name]
        assert len(found) == 1, f"{kind} {named}: {found}"
        return found[0]

    def _exports(self) -> dict[str, Any]:
        return {
            output["Export"]["Name"]: output["Value"]
            for template in self.templates.values()
            for output in template.get("Outputs", {}).values()
            if "Export" in output
        }

    def _resources(self) -> Iterator[tuple[str, Any]]:
        for stack, template in self.templates.items():
            for name, resource in template["Resources"].items():
                yield f"{stack}/{name}", resource
