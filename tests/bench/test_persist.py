"""The bench of `persist` runs; what it measures is for people to read."""

import pytest

from tests.bench.cases import CASES
from tests.bench.persist import measure, table

pytestmark = pytest.mark.system


def test_each_store_is_measured_against_a_put_item_each() -> None:
    cases = [case._replace(records=4, frame=min(case.frame, 5), batches=1) for case in CASES]

    stores = measure(1, cases)
    measured = stores.cases

    assert [each.case for each in measured] == [case.name for case in CASES]
    assert measured[0].to_naive == 1
    assert all(each.events_per_cpu_s > 0 for each in measured)
    assert len(table(stores).splitlines()) == 2 + len(CASES)
