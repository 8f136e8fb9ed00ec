"""What `make sabotage` takes out is there, and so are the tests that have to notice."""

import pytest

from tests.sabotage import FAILS, PASSES, ROOT, SABOTAGES, UNTOLD, Edit, Run, Sabotage, outcome, runs_of


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: sabotage.what)
def test_each_sabotage_finds_its_mechanism_and_its_tests(sabotage: Sabotage) -> None:
    assert (ROOT / sabotage.edit.path).read_text().count(sabotage.edit.held) == 1
    for test in sabotage.tests:
        path, _, name = test.partition("[")[0].partition("::")
        assert f"def {name or 'test_'}" in (ROOT / path).read_text()


def test_a_run_on_the_stack_is_apart_and_the_product_as_it_is_runs_each_test_once() -> None:
    quick, slow = "tests/test_a.py::test_a", "tests/faults/test_b.py::test_b"
    edits = [Edit("a.py", "x", ""), Edit("b.py", "y", "")]

    runs = runs_of([Sabotage("a", edits[0], (quick, slow)), Sabotage("b", edits[1], (quick,))])

    assert runs == [
        Run(None, (quick,)),
        Run(None, (slow,)),
        Run(edits[0], (quick,)),
        Run(edits[0], (slow,)),
        Run(edits[1], (quick,)),
    ]


def test_of_a_copy_each_test_says_whether_it_passes_there() -> None:
    module = "tests/cdk/test_ports.py"
    notices, other, unknown = (
        f"{module}::test_trackers_take_neighbouring_ports",
        f"{module}::test_a_port_in_use_is_named_with_what_to_do",
        f"{module}::test_nothing",
    )
    edit = Edit("cdk/local/ports.py", "ports = (first, first + 1)", "ports = (first, first)")

    assert outcome(Run(edit, (notices, unknown))) == {notices: UNTOLD, unknown: UNTOLD}
    assert outcome(Run(edit, (notices, module))) == {notices: FAILS, module: FAILS}
    assert outcome(Run(None, (notices, other))) == {notices: PASSES, other: PASSES}
