from typing import Any

import pytest

from tests.load.plan import LoadError, check_trackers, make_plan

GIVEN = {"run": "0190e8a36a1c", "trackers": ["http://localhost:8080"]}


def test_everything_else_has_a_default_and_it_ends() -> None:
    plan = make_plan(GIVEN)

    assert plan.duration_s == 30.0
    assert plan.events_max == 1_000_000


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rate_per_s", 0),
        ("duration_s", 3_601),
        ("duration_s", 0),
        ("events_max", 10_000_001),
        ("ramp_s", -1),
        ("batch_sizes", [0]),
        ("batch_sizes", [10_001]),
        ("batch_sizes", []),
        ("mix", {"purchase": 1}),
        ("mix", {"view": 0}),
        ("wrong_checksums", 1.1),
        ("connections", 4_097),
        ("processes", 33),
        ("attempts", 0),
        ("timeout_s", 61),
        ("run", "run"),
        ("trackers", []),
    ],
)
def test_what_is_out_of_bounds_is_named(field: str, value: Any) -> None:
    with pytest.raises(LoadError, match=r"No such load"):
        make_plan(GIVEN | {field: value})


def test_every_process_needs_a_connection() -> None:
    with pytest.raises(LoadError, match="every process needs a connection"):
        make_plan(GIVEN | {"processes": 4, "connections": 3})


@pytest.mark.parametrize("url", ["http://localhost:8080", "http://127.0.0.1:1", "https://[::1]:8443/"])
def test_trackers_of_this_machine_may_be_loaded(url: str) -> None:
    check_trackers([url], remote=False)


@pytest.mark.parametrize("url", ["http://192.0.2.1", "http://[2001:db8::1]:8080"])
def test_others_only_if_it_is_said_so(url: str) -> None:
    with pytest.raises(LoadError, match="--allow-remote"):
        check_trackers(["http://localhost:8080", url], remote=False)
    check_trackers([url], remote=True)


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://localhost", "http://", "http://localhost/events"])
def test_a_tracker_is_named_by_its_base_url(url: str) -> None:
    with pytest.raises(LoadError, match="not the address of a tracker"):
        check_trackers([url], remote=True)
