import pytest

from cdk.local.answers import Failure, failures

PROBLEM = b'{"title":"Busy","status":503,"reason":"draining","detail":"stopping"}'
BATCH = b'{"accepted":1,"rejected":2,"results":[{"index":1}],"errors":[%s,%s]}'
AGAIN = b'{"index":0,"reason":"buffer_full","detail":"full"}'
NEVER = b'{"index":2,"reason":"program_not_found","detail":"unknown"}'


def test_an_event_that_is_answered_is_acknowledged() -> None:
    assert failures(200, b"{}", 1) == ()
    assert failures(200, b'{"errors":[]}', 2) == []


@pytest.mark.parametrize("status", [200, 503])
def test_of_a_batch_each_item_has_its_own_fate(status: int) -> None:
    assert failures(status, BATCH % (AGAIN, NEVER), 3) == [
        Failure(0, "buffer_full", "full", final=False),
        Failure(2, "program_not_found", "unknown", final=True),
    ]


def test_a_problem_is_that_of_every_event() -> None:
    assert failures(503, PROBLEM, 2) == [
        Failure(index, "draining", "stopping", final=False) for index in range(2)
    ]


@pytest.mark.parametrize(
    ("status", "final"),
    [
        (200, True),
        (400, True),
        (401, True),
        (404, True),
        (408, False),
        (429, False),
        (500, False),
        (502, False),
    ],
)
def test_an_answer_that_is_not_the_trackers_goes_by_its_status(status: int, final: bool) -> None:
    assert failures(status, b"<html>", 2)[1] == Failure(1, "", "<html>", final=final)
