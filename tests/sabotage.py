"""Does the suite notice? Takes one mechanism at a time out of a copy of the product and runs its tests.

`make sabotage`: each named test must pass on the product as it is, and fail without the mechanism. A test
that does not is not worth its name. Exits with 1 where one did not notice. An argument takes those whose
names hold it: `make sabotage ARGS=fence`. Prints a table in Markdown, a row for each test.

Tests that break the running system run one after the other, for what they promise is timed; the others two
at a time.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", ".run", ".*_cache", ".hypothesis", "node_modules", "__pycache__"
)
TIMEOUT_S = 600
AT_ONCE = 2
STACK_TESTS = ("tests/faults/", "tests/system/")
PYTEST = (
    *(sys.executable, "-m", "pytest", "-q", "-m", "faults or not faults"),
    *("-p", "no:cacheprovider", "--hypothesis-profile", "sabotage"),
)
RESULTS = "results.xml"
PASSES, FAILS, UNTOLD = "passes", "fails", "does not tell"
"""What a test says; the last where it was not found, or could not run."""
HEAD = ("taken out", "test", "as it is", "without it")


class Edit(NamedTuple):
    """A mechanism as it stands in a file, and what is left without it."""

    path: str
    held: str
    left: str


class Sabotage(NamedTuple):
    """What is taken out, and the tests that have to notice, each by itself."""

    what: str
    edit: Edit
    tests: Sequence[str]


class Run(NamedTuple):
    """Tests to run on a copy of the product, as it is or without a mechanism."""

    edit: Edit | None
    tests: tuple[str, ...]


Said = Mapping[tuple[Edit | None, str], str]
"""What each test said of each copy."""


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
            "tests/faults/test_persist.py::test_persist_killed_between_count_and_relay[items]",
        ),
    ),
    Sabotage(
        "an event counts for its item's origin alone",
        Edit("lambdas/items.py", "held is not None and held.origin == arrival.origin", "held is not None"),
        (
            "tests/lambdas/test_persist.py::test_a_resend_counts_once_wherever_it_arrives",
            "tests/faults/test_resends.py::test_acknowledged_events_are_sent_again[items]",
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
        (
            "tests/lambdas/test_packs.py::test_a_resend_counts_once_wherever_it_arrives",
            "tests/faults/test_resends.py::test_acknowledged_events_are_sent_again[packed]",
        ),
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
    started_s = time.monotonic()
    chosen = [each for each in SABOTAGES if all(word in each.what for word in words)]
    said = dict(outcomes(runs_of(chosen)))
    rows = [
        (sabotage.what, f"`{test}`", said[None, test], said[sabotage.edit, test])
        for sabotage in chosen
        for test in sabotage.tests
    ]
    for cells in (HEAD, ("---",) * len(HEAD), *rows):
        print(f"| {' | '.join(cells)} |")
    noticed = sum(row[2:] == (PASSES, FAILS) for row in rows)
    print(f"\n{noticed} of {len(rows)} noticed, in {time.monotonic() - started_s:.0f} s.")
    return 0 if noticed == len(rows) else 1


def runs_of(sabotages: Sequence[Sabotage]) -> list[Run]:
    """All that has to be run: those tests apart that take the whole stack."""
    every = dict.fromkeys(test for each in sabotages for test in each.tests)
    asked = [(None, tuple(every)), *((each.edit, tuple(each.tests)) for each in sabotages)]
    apart = [
        Run(edit, tuple(test for test in tests if test.startswith(STACK_TESTS) is on_stack))
        for edit, tests in asked
        for on_stack in (False, True)
    ]
    return [each for each in apart if each.tests]


def outcomes(runs: Sequence[Run]) -> Iterator[tuple[tuple[Edit | None, str], str]]:
    alone = [each for each in runs if each.tests[0].startswith(STACK_TESTS)]
    with ThreadPoolExecutor(AT_ONCE) as several, ThreadPoolExecutor(1) as one:
        together = [each for each in runs if each not in alone]
        yield from _outcomes(several, together)
        yield from _outcomes(one, alone)


def _outcomes(pool: Executor, runs: Sequence[Run]) -> Iterator[tuple[tuple[Edit | None, str], str]]:
    for run, said in zip(runs, pool.map(outcome, runs), strict=True):
        for test, what in said.items():
            print(f"{run.edit.path if run.edit else 'as it is'}: {test} {what}", file=sys.stderr, flush=True)
            yield (run.edit, test), what


def outcome(run: Run) -> dict[str, str]:
    """What each of the tests says of the copy."""
    with copied() as copy:
        if run.edit is not None:
            _apply(run.edit, copy)
        command = [*PYTEST, f"--junitxml={RESULTS}", *run.tests]
        subprocess.run(command, cwd=copy, capture_output=True, timeout=TIMEOUT_S)
        cases = list(_cases(copy / RESULTS))
    return {test: _said(states for name, states in cases if _is_of(name, test)) for test in run.tests}


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


def _cases(results: Path) -> Iterator[tuple[str, set[str]]]:
    """Each test that ran, as `path::name[parameters]`, and how it ended where it did not pass."""
    if results.exists():
        for case in ElementTree.parse(results).iter("testcase"):
            path = case.attrib["classname"].replace(".", "/")
            yield f"{path}.py::{case.attrib['name']}", {child.tag for child in case}


def _is_of(name: str, test: str) -> bool:
    return name == test or name.startswith((f"{test}::", f"{test}["))


def _said(states: Iterable[set[str]]) -> str:
    """Of all that a name stands for. One that fails is enough; one that breaks in its setup tells nothing."""
    each = list(states)
    if any("failure" in state for state in each):
        return FAILS
    return PASSES if each and not any(state & {"error", "skipped"} for state in each) else UNTOLD


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
