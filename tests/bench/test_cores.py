import os
import sys

import pytest

from tests.bench.cores import first_kept_free
from tests.bench.processes import running

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="only Linux lets a process choose its cores"
)

SLEEPS = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_what_is_measured_has_the_first_core_to_itself_until_all_are_shared() -> None:
    every = os.sched_getaffinity(0)
    first = {min(every)}
    others = every - first or every

    with first_kept_free() as cores, running(SLEEPS) as pid:
        cores.give_first(pid)
        apart = os.sched_getaffinity(0), os.sched_getaffinity(pid)
        with cores.shared([pid]):
            shared = os.sched_getaffinity(0), os.sched_getaffinity(pid)
        again = os.sched_getaffinity(0), os.sched_getaffinity(pid)

    assert apart == again == (others, first)
    assert shared == (every, every)
    assert os.sched_getaffinity(0) == every
