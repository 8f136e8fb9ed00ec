"""The SDK's models of AWS's services, without what a task never reads.

A session reads them as they are and keeps them: the documentation of every field, and where every service
of AWS is. That is a tenth of a task's memory.
"""

from collections.abc import Collection
from typing import Any

from aiobotocore.session import AioSession, get_session
from botocore.loaders import JSONFileLoader

ENDPOINTS = "endpoints"
"""The file that says where each service is, by partition."""
DOCUMENTATION = "documentation"


class LeanFiles(JSONFileLoader):  # type: ignore[misc]
    """Reads a model's file, and leaves out texts for people and the endpoints of other services."""

    def __init__(self, services: Collection[str]) -> None:
        self._services = services

    def load_file(self, file_path: str) -> Any:
        """None where there is no such file."""
        model = _lean(super().load_file(file_path))
        if model is not None and file_path.endswith(ENDPOINTS):
            for partition in model["partitions"]:
                partition["services"] = {
                    name: where for name, where in partition["services"].items() if name in self._services
                }
        return model


def lean_session(services: Collection[str]) -> AioSession:
    """A session for clients of these services."""
    session = get_session()
    session.get_component("data_loader").file_loader = LeanFiles(services)
    return session


def _lean(value: Any) -> Any:
    """Plain dicts take two thirds of what ordered ones do."""
    if isinstance(value, dict):
        return {name: _lean(part) for name, part in value.items() if not _is_prose(name, part)}
    return [_lean(part) for part in value] if isinstance(value, list) else value


def _is_prose(name: str, part: object) -> bool:
    return name == DOCUMENTATION and isinstance(part, str)
