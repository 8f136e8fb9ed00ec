import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from cdk.local.errors import StartError
from cdk.local.supervisor import Supervisor
from tests.cdk.children import STUBBORN, lives, make_part, until

FAILS = "print('no such table', flush=True); raise SystemExit(2)"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
async def supervisor(tmp_path: Path, said: list[str]) -> AsyncIterator[Supervisor]:
    async with Supervisor(tmp_path, said.append) as supervisor:
        yield supervisor


async def test_parts_stop_in_reverse_order_of_their_groups(tmp_path: Path) -> None:
    async with Supervisor(tmp_path, print) as supervisor:
        await supervisor.start([make_part(tmp_path, "first")])
        await supervisor.start([make_part(tmp_path, "second")], [make_part(tmp_path, "third")])
        pids = supervisor.pids

    assert list(pids) == ["first", "second", "third"]
    assert (tmp_path / "ended").read_text().split() == ["third", "second", "first"]
    assert not any(map(lives, pids.values()))


async def test_a_part_that_dies_is_started_again_and_said(
    supervisor: Supervisor, said: list[str], tmp_path: Path
) -> None:
    seen: list[dict[str, int]] = []
    await supervisor.start([make_part(tmp_path, "tracker-1"), make_part(tmp_path, "tracker-2")])
    supervisor.watch(seen.append)

    os.kill(supervisor.pids["tracker-1"], signal.SIGKILL)
    await until(lambda: len(seen) == 2)

    before, after = seen
    assert said == [
        f"tracker-1 (process {before['tracker-1']}) was killed by SIGKILL; starting it again in 0.2 s"
    ]
    assert after["tracker-1"] != before["tracker-1"]
    assert after["tracker-2"] == before["tracker-2"]
    assert lives(after["tracker-1"])


async def test_a_part_that_keeps_dying_is_started_less_and_less_often(
    supervisor: Supervisor, said: list[str], tmp_path: Path
) -> None:
    await supervisor.start([make_part(tmp_path)])

    for turn in range(3):
        os.kill(supervisor.pids["part"], signal.SIGKILL)
        await until(lambda turn=turn: len(said) > turn and lives(supervisor.pids["part"]))  # type: ignore[misc]

    assert [line.rpartition("in ")[2] for line in said] == ["0.2 s", "0.4 s", "0.8 s"]


async def test_the_wait_for_the_next_start_is_bounded(said: list[str], tmp_path: Path) -> None:
    async with Supervisor(tmp_path, said.append, most_restart_s=0.3) as supervisor:
        await supervisor.start([make_part(tmp_path)])
        for turn in range(3):
            os.kill(supervisor.pids["part"], signal.SIGKILL)
            await until(lambda turn=turn: len(said) > turn and lives(supervisor.pids["part"]))  # type: ignore[misc]

    assert [line.rpartition("in ")[2] for line in said] == ["0.2 s", "0.3 s", "0.3 s"]


async def test_what_died_with_a_part_is_rebuilt_once_it_is_ready_again(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    rebuilt: list[int] = []

    async def recover() -> None:
        rebuilt.append(supervisor.pids["part"])

    await supervisor.start([msgspec.structs.replace(make_part(tmp_path), recover=recover)])
    os.kill(supervisor.pids["part"], signal.SIGKILL)
    await until(lambda: rebuilt)

    assert rebuilt == [supervisor.pids["part"]]


async def test_a_part_that_ends_before_it_is_ready_stops_everything(tmp_path: Path) -> None:
    failing = make_part(tmp_path, "persist", script=FAILS, ready=lambda: False)

    with pytest.raises(StartError, match=r"persist ended with exit code 2 \(no such table\) before"):
        async with Supervisor(tmp_path, print) as supervisor:
            await supervisor.start([make_part(tmp_path, "valkey")])
            pids = supervisor.pids
            await supervisor.start([failing])

    assert not lives(pids["valkey"])


async def test_a_part_that_is_never_ready_is_said_with_its_log(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    part = make_part(tmp_path, "ministack", ready=lambda: False, start_timeout_s=0.1)

    with pytest.raises(StartError, match=r"ministack was not ready after 0 s: see .*ministack\.log"):
        await supervisor.start([part])


async def test_a_command_that_is_not_there_is_said(supervisor: Supervisor, tmp_path: Path) -> None:
    part = msgspec.structs.replace(make_part(tmp_path), command=("/nonexistent/valkey-server",))

    with pytest.raises(StartError, match="part cannot be started"):
        await supervisor.start([part])


async def test_a_part_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    async with Supervisor(tmp_path, print) as supervisor:
        await supervisor.start([make_part(tmp_path, script=STUBBORN, stop_timeout_s=0.1)])
        pid = supervisor.pids["part"]

    assert not lives(pid)


async def test_a_part_that_waits_for_its_restart_is_not_started_by_a_stop(
    tmp_path: Path, said: list[str]
) -> None:
    async with Supervisor(tmp_path, said.append) as supervisor:
        await supervisor.start([make_part(tmp_path)])
        os.kill(supervisor.pids["part"], signal.SIGKILL)
        await until(lambda: said)

    assert not lives(supervisor.pids["part"])
