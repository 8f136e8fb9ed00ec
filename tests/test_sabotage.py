"""What `make sabotage` takes out is there, and so are the tests that have to notice."""

import pytest

from tests.sabotage import ROOT, SABOTAGES, Sabotage


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: sabotage.what)
def test_each_sabotage_finds_its_mechanism_and_its_tests(sabotage: Sabotage) -> None:
    assert (ROOT / sabotage.edit.path).read_text().count(sabotage.edit.held) == 1
    for test in sabotage.tests:
        path, _, name = test.partition("::")
        assert f"def {name or 'test_'}" in (ROOT / path).read_text()
