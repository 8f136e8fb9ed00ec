"""How long the functions take from nothing to their first answer. `make coldstart` prints it."""

import os
import platform
from collections.abc import Iterator
from statistics import median
from typing import NamedTuple, get_args

import pytest
from rich.console import Console
from rich.table import Table

from cdk.assets import THIS_MACHINE, FunctionName, lambda_bundle
from schemas.updates import ProgramChanged, encode_update
from tests.factories import program, view
from tests.lambdas.cloud import Cloud, delivered
from tests.lambdas.runtime import Runtime

ROUNDS = 10


class ColdStart(NamedTuple):
    """In milliseconds."""

    importing: float
    init: float
    first_invocation: float


@pytest.mark.bench
def test_cold_starts(runtime: Runtime, cloud: Cloud) -> None:
    table = Table(
        "function", "bundle, MB", "import, ms", "init, ms", "first invocation, ms", "init + first, ms"
    )
    for name in get_args(FunctionName):
        rounds = list(cold_starts(runtime, cloud, name))
        assert len(rounds) == ROUNDS
        sums = [each.init + each.first_invocation for each in rounds]
        medians = [f"{median(column):.0f}" for column in (*zip(*rounds, strict=True), sums)]
        table.add_row(name, f"{megabytes(name):.1f}", *medians)
    Console(width=100).print(
        table, f"Median of {ROUNDS}. Init: interpreter, runtime client, import. {conditions()}"
    )


def cold_starts(runtime: Runtime, cloud: Cloud, name: FunctionName) -> Iterator[ColdStart]:
    for _ in range(ROUNDS):
        event = BATCHES[name](cloud)
        importing_s = runtime.import_s(name)
        with runtime.start(name) as function:
            init_s = function.init_s()
            outcome = function.invoke(event)
        assert outcome.body == {"batchItemFailures": []}
        yield ColdStart(*(1000 * each for each in (importing_s, init_s, outcome.ended_s - outcome.began_s)))


def conditions() -> str:
    processors, (load, *_) = os.cpu_count(), os.getloadavg()
    return f"Python {platform.python_version()}, {processors} processors, load {load:.1f}."


def events(cloud: Cloud) -> dict[str, object]:
    cloud.put(("key-0", [view() for _ in range(10)]))
    batch = cloud.batch()
    return batch | {"Records": batch["Records"][-1:]}


def changes(cloud: Cloud) -> dict[str, object]:
    update = encode_update(ProgramChanged(program=program()))
    return {"Records": [delivered(cloud.persist.update_stream, "1", update)]}


def megabytes(name: FunctionName) -> float:
    files = lambda_bundle(name, platform=THIS_MACHINE).rglob("*")
    return sum(each.stat().st_size for each in files if each.is_file()) / 1_000_000


BATCHES = {"persist": events, "refresh": changes}
