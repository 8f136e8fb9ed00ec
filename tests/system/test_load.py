"""`python -m tests.load` against the real stack: what it was told is stored is what is stored."""

import re
import signal
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

from cdk.local.audit import Entry
from tests.load.events import Events
from tests.load.factories import plan
from tests.load.verify import verify
from tests.system.conftest import ROOT, Stack

TIMEOUT_S = 60


def command(stack: Stack, *options: object) -> list[str]:
    options = ("--run-dir", stack.run_dir, *options)
    return [sys.executable, "-m", "tests.load", *map(str, options)]


def test_a_load_from_two_processes_on_programs_of_its_own_balances(stack: Stack, tmp_path: Path) -> None:
    report = tmp_path / "load.html"
    shape = ("--rate", 1_000, "--events", 2_000, "--batch", "1,1,98", "--processes", 2, "--ramp", 1)
    asked = command(stack, *shape, "--own-programs", 2, "--verify", "--report", report)
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "2,000 of 2,000 events acknowledged" in done.stdout
    assert "The ledger balances: 2,000 acknowledged" in done.stdout
    assert "load-2" in done.stdout
    assert "<svg" in report.read_text()


def test_a_load_that_is_stopped_still_tells_what_became_of_all_it_sent(stack: Stack) -> None:
    asked = command(stack, "--rate", 50, "--seconds", 600)
    with subprocess.Popen(asked, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = iter(process.stdout.readline, "")
        next(line for line in lines if " acknowledged, " in line)
        process.send_signal(signal.SIGINT)
        text = "".join(lines)

    assert process.returncode == 0
    sent = re.search(r"([\d,]+) of ([\d,]+) events acknowledged", text)
    assert sent and sent[1] == sent[2]


async def test_what_is_missing_and_what_nobody_sent_is_found(stack: Stack) -> None:
    events = Events(plan(run=uuid4().hex[:12]))
    stored, missing = events.entries(range(2))
    sent = stack.trackers[0].get(events.message([0]).line.split()[1])
    assert sent.json()["messageId"] == stored.message_id

    found = await verify(stack.file, events, sent=[0, 1], unacknowledged=set(), stall_s=5.0)
    assert found.missing == [missing]
    assert not found.extra

    found = await verify(stack.file, events, sent=[], unacknowledged=set(), stall_s=0.0)
    assert found.extra == [Entry(*stored)]
