"""What code asks of AWS, read from its source: the calls of clients, in a module and all that it imports."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import botocore.session
import grimp
from botocore import xform_name

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("lambdas", "schemas", "tracker", "workers")
CLIENTS = {"dynamodb": "dynamodb", "kinesis": "kinesis", "s3": "s3", "secrets": "secretsmanager"}
"""The service of a client, by the name it goes by in the code."""
NEEDS = {
    "dynamodb:BatchExecuteStatement": {"dynamodb:PartiQLInsert"},
    "s3:ListObjectsV2": {"s3:ListBucket"},
}
"""A statement needs what it does (Amazon DynamoDB Developer Guide, "IAM security policies with PartiQL for
DynamoDB"). The code's statements insert, and nothing else."""


def actions(*modules: str) -> set[str]:
    """The IAM actions that these modules need, with all they import."""
    called = {action for module in _closure(modules) for action in _called(module)}
    return {need for action in called for need in NEEDS.get(action, {action})}


def unknown(*modules: str) -> set[str]:
    """Calls of what an AWS client can do, on something that does not go by the name of one."""
    known = {method for service in CLIENTS.values() for method in _operations(service)}
    return {
        f"{module}: {name}.{method}"
        for module in _closure(modules)
        for name, method in _methods(module)
        if method in known and name.strip("_") not in CLIENTS
    }


def _closure(modules: tuple[str, ...]) -> set[str]:
    graph = _graph()
    return {*modules, *(each for module in modules for each in graph.find_upstream_modules(module))}


@cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES)


def _called(module: str) -> Iterator[str]:
    for name, method in _methods(module):
        service = CLIENTS.get(name.strip("_"))
        if service and (operation := _operations(service).get(method)):
            yield f"{service}:{operation}"


def _methods(module: str) -> Iterator[tuple[str, str]]:
    """The methods that are called, with the name of what they are called on."""
    for node in ast.walk(ast.parse(_source(module))):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=name) | ast.Attribute(attr=name), attr=method)
            ):
                yield name, method


def _source(module: str) -> str:
    path = ROOT.joinpath(*module.split("."))
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()


@cache
def _operations(service: str) -> dict[str, str]:
    """The API's name of each method of a client."""
    model = botocore.session.Session().get_service_model(service)
    return {xform_name(operation): operation for operation in model.operation_names}
