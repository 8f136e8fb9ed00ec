"""Runs the workers' command line against the stack that runs here."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from cdk.config import LOCAL
from cdk.local.environment import Addresses, Environments
from cdk.local.errors import StartError
from cdk.local.stack_file import StackFile, read_stack_file


def run_workers(arguments: Sequence[str], *, run_dir: Path, given: Mapping[str, str]) -> NoReturn:
    """Becomes `python -m workers` with these arguments. Raises StartError where no stack runs."""
    stack = read_stack_file(run_dir)
    if stack is None:
        raise StartError("No stack runs here. Start one first: make run")
    command = [sys.executable, "-m", "workers", *arguments]
    os.execve(sys.executable, command, environment(stack, given))


def environment(stack: StackFile, given: Mapping[str, str]) -> dict[str, str]:
    """What any of the commands may ask for, as the stack's own workers have it."""
    aws_url = stack.aws_endpoint_url
    addresses = Addresses(
        redis_url=stack.redis_url, aws_url=aws_url, kinesis_url=aws_url, dynamodb_url=aws_url
    )
    return Environments(given, LOCAL, addresses).commands()
