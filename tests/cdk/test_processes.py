import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from cdk.local.processes import Process, describe
from tests.cdk.children import STAYS, STUBBORN, lives, until

PARENT = """
import asyncio, pathlib, sys
from cdk.local.processes import Process

async def main():
    child = await Process.start(
        (sys.executable, "-c", "import time; time.sleep(60)"), environment={}, directory=pathlib.Path("/")
    )
    print(child.pid, flush=True)
    await child.run(lambda data: None)

asyncio.run(main())
"""


async def start(script: str, directory: Path) -> Process:
    command = (sys.executable, "-S", "-c", script, str(directory / "ended"), "it")
    return await Process.start(command, environment={}, directory=directory)


async def test_output_is_handed_over_and_the_status_returned(tmp_path: Path) -> None:
    output: list[bytes] = []
    process = await start("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)", tmp_path)

    status = await process.run(output.append)

    assert status == 3
    assert sorted(b"".join(output).split()) == [b"err", b"out"]
    assert process.ended


async def test_terminate_lets_a_process_end_by_itself(tmp_path: Path) -> None:
    process = await start(STAYS, tmp_path)
    output: list[bytes] = []
    running = asyncio.create_task(process.run(output.append))
    await until(lambda: output)

    process.terminate()

    assert await running == 0
    assert (tmp_path / "ended").read_text() == "it\n"


async def test_kill_ends_what_does_not_listen(tmp_path: Path) -> None:
    process = await start(STUBBORN, tmp_path)
    output: list[bytes] = []
    running = asyncio.create_task(process.run(output.append))
    await until(lambda: output)

    process.terminate()
    process.kill()

    assert await running == -signal.SIGKILL
    process.terminate()
    process.kill()


async def test_a_child_is_not_in_the_terminals_foreground_group(tmp_path: Path) -> None:
    process = await start(STAYS, tmp_path)

    assert os.getsid(process.pid) == process.pid != os.getsid(0)

    process.kill()
    await process.run(lambda data: None)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's part is Linux's alone")
async def test_children_do_not_outlive_a_killed_parent() -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    assert lives(child)

    parent.kill()
    await parent.wait()

    await until(lambda: not lives(child))


def test_a_status_is_described_in_words() -> None:
    assert describe(-9) == "was killed by SIGKILL"
    assert describe(2) == "ended with exit code 2"
