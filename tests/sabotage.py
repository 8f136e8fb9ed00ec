"""Does the suite notice? Takes one mechanism at a time out of a copy of the product and runs a test.

`make sabotage`: each named test must pass on the copy as it is, and fail without the mechanism. A test
that does not is not worth its name. Exits with 1 where one did not notice. An argument takes those whose
names hold it: `make sabotage ARGS=fence`.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Column, Table

ROOT = Path(__file__).resolve().parents[1]
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", ".run", ".*_cache", ".hypothesis", "node_modules", "__pycache__"
)
TIMEOUT_S = 900
PASSED, FAILED = 0, 1
"""pytest's exit codes; anything else is no answer."""


class Edit(NamedTuple):
    """A mechanism as it stands in a file, and what is left without it."""

    path: str
    held: str
    left: str


class Sabotage(NamedTuple):
    """What is taken out, and the tests that have to notice, each alone."""

    what: str
    edit: Edit
    tests: Sequence[str]


SABOTAGES = (
    Sabotage(
        "version check in memory",
        Edit("tracker/programs.py", " and record.version >= entry.record.version:", ":"),
        ("tests/tracker/test_programs.py::test_an_older_invalidation_changes_nothing",),
    ),
    Sabotage(
        "version check in Redis",
        Edit("schemas/redis.py", "if held and tonumber(held) >= tonumber(ARGV[1]) then", "if false then"),
        ("tests/schemas/test_redis.py::test_any_order_and_repetition_ends_in_the_newest_record",),
    ),
    Sabotage(
        "version check in DynamoDB",
        Edit(
            "lambdas/programs.py",
            "if version <= held.written_version:",
            "if version == held.written_version:",
        ),
        ("tests/lambdas/test_refresh.py::test_any_order_repetition_and_kill_ends_the_same",),
    ),
    Sabotage(
        "condition of a change of core data",
        Edit("lambdas/programs.py", '"version = :held"', '"program_id <> :held"'),
        ("tests/lambdas/test_programs.py::test_another_delivery_in_between_is_merged",),
    ),
    Sabotage(
        "version that grows with a fact",
        Edit(
            "lambdas/programs.py",
            "_stored(held.program, version, held.written_version, facts)",
            "_stored(held.program, held.version, held.written_version, facts)",
        ),
        (
            "tests/lambdas/test_refresh.py::test_a_fact_is_stored_cached_and_published",
            "tests/properties/test_convergence.py",
        ),
    ),
    Sabotage(
        "larger of two counts",
        Edit("schemas/facts.py", "counted=max(held.counted, found.counted)", "counted=found.counted"),
        ("tests/schemas/test_facts.py::test_facts_are_joined_in_any_order_and_grouping",),
    ),
    Sabotage(
        "flush on reconnect",
        Edit("tracker/programs.py", 'before."""\n        self._gap()', 'before."""'),
        ("tests/properties/test_convergence.py", "tests/faults/test_staleness.py"),
    ),
    Sabotage(
        "counter fence",
        Edit("lambdas/lanes.py", "if int(sequence) > fence}", "if fence >= -1}"),
        (
            "tests/lambdas/test_persist.py::test_killed_at_any_step_then_retried_whole",
            "tests/faults/test_persist.py::test_persist_killed_between_count_and_relay",
        ),
    ),
    Sabotage(
        "a pack's number is free",
        Edit("lambdas/packs.py", '"attribute_not_exists(message_id)"', '"attribute_not_exists(nothing)"'),
        (
            "tests/lambdas/test_packs.py::test_a_resend_that_is_stored_from_another_shard_meanwhile",
            "tests/lambdas/test_packs_property.py",
        ),
    ),
    Sabotage(
        "fence of the packed store",
        Edit("lambdas/pack_log.py", "if fence else arrived", "if False else arrived"),
        ("tests/lambdas/test_packs.py::test_a_record_that_is_delivered_again_counts_nothing_however_late",),
    ),
    Sabotage(
        "window of the packed store",
        Edit("lambdas/pack_log.py", "if id_ not in known:", "if True:"),
        ("tests/lambdas/test_packs.py::test_a_resend_counts_once_wherever_it_arrives",),
    ),
    Sabotage(
        "2xx only when Kinesis has confirmed",
        Edit(
            "tracker/intake.py",
            "self._lane(keyed).ask_for(waiter, keyed, weight=weight)",
            "self._lane(keyed).tell(keyed, weight=weight)\n        waiter.set_result(None)",
        ),
        (
            "tests/tracker/test_intake.py::test_an_event_is_on_the_stream_once_it_is_acknowledged",
            "tests/tracker/test_intake.py::test_who_waits_in_no_task_is_told_of_each_outcome",
            "tests/faults/test_trackers.py::test_tracker_killed_three_times",
        ),
    ),
    Sabotage(
        "privacy before the first durable write",
        Edit(
            "tracker/privacy.py",
            'if policy == "full":\n        return traces',
            "if policy:\n        return traces",
        ),
        ("tests/system/test_privacy.py::test_nothing_forbidden_is_in_the_table_the_stream_or_the_logs",),
    ),
    Sabotage(
        "the client's address by hop count",
        Edit("tracker/addresses.py", "entries[-min(hops, len(entries))]", "entries[0]"),
        ("tests/tracker/test_addresses.py::test_the_client_is_whom_the_outermost_of_our_proxies_saw",),
    ),
)


def main(*words: str) -> int:
    console, table = Console(), Table("taken out", Column("test", overflow="fold"), "as it is", "without it")
    noticed = True
    for sabotage in (each for each in SABOTAGES if all(word in each.what for word in words)):
        for test in sabotage.tests:
            as_it_is, without = outcome(None, test), outcome(sabotage.edit, test)
            noticed = noticed and (as_it_is, without) == (PASSED, FAILED)
            table.add_row(sabotage.what, test, _word(as_it_is), _word(without))
    console.print(table)
    return 0 if noticed else 1


def outcome(edit: Edit | None, test: str) -> int:
    """pytest's exit code for one test on a copy of the product."""
    with copied() as copy:
        if edit is not None:
            _apply(edit, copy)
        command = [sys.executable, "-m", "pytest", "-q", "-m", "faults or not faults", test]
        return subprocess.run(command, cwd=copy, capture_output=True, timeout=TIMEOUT_S).returncode


@contextmanager
def copied() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        yield Path(shutil.copytree(ROOT, Path(directory, "product"), ignore=NOT_COPIED))


def _apply(edit: Edit, copy: Path) -> None:
    file = copy / edit.path
    text = file.read_text()
    if text.count(edit.held) != 1:
        raise SystemExit(f"{edit.path} has changed: {edit.held!r} is not in it once")
    file.write_text(text.replace(edit.held, edit.left))


def _word(code: int) -> str:
    return {PASSED: "passes", FAILED: "fails"}.get(code, f"pytest ended with {code}")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
