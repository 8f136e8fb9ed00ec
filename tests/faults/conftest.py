"""`make faults`: options, the one system under test, and the report at the end."""

from collections.abc import AsyncIterator
from inspect import cleandoc
from pathlib import Path

import pytest
import pytest_asyncio

from tests.faults.ordeal import Ordeal
from tests.faults.report import Result, terminal_table, write_page
from tests.faults.stack import System, running_system
from tests.faults.stores import titled, told

RESULTS = pytest.StashKey[list[Result]]()
DESELECTED = pytest.StashKey[int]()
HERE = Path(__file__).parent
TIMEOUT_S = 300
"""The longest fault, its load, and what catching up may take."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--reliability", type=Path, help="where to write the results of a whole run")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RESULTS] = []


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.faults)
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """What a test finds after its load is in the report, too."""
    ordeal: Ordeal | None = getattr(item, "funcargs", {}).get("ordeal")
    if ordeal is not None and call.excinfo is not None and not ordeal.problems:
        ordeal.problems.append(f"the test failed: {call.excinfo.exconly().splitlines()[0]}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    results = config.stash[RESULTS]
    if results:
        terminalreporter.section("what broke, and what it broke")
        for line in terminal_table(results):
            terminalreporter.write_line(line)
        for result in results:
            for note in result.notes:
                terminalreporter.write_line(f"{result.fault}: {note}")
    path: Path | None = config.getoption("--reliability")
    if path is not None and len(results) == terminalreporter._numcollected - len(
        terminalreporter.stats.get("deselected", ())
    ):
        write_page(path, results)


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["items"])
async def system(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[System]:
    """One for a module's tests, with the event store that they ask for (tests/faults/stores.py)."""
    async with running_system(tmp_path_factory.mktemp("faults"), event_store=request.param) as system:
        yield system


@pytest_asyncio.fixture(loop_scope="session")
async def ordeal(system: System, request: pytest.FixtureRequest) -> AsyncIterator[Ordeal]:
    """The test's own, on a system that is whole, and is made whole again."""
    await system.until_ready()
    title, _, story = cleandoc(request.function.__doc__).partition("\n")
    yield Ordeal(
        system=system,
        name=request.function.__name__.removeprefix("test_").replace("_", "-")[:60],
        title=titled(title.rstrip("."), system.event_store),
        story=told(story, system.event_store),
        results=request.config.stash[RESULTS],
    )
    await system.cables.heal()
