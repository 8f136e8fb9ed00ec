from types import ModuleType

import pytest

from tests.cdk.conftest import Synthesis
from tracker.settings import TrackerSettings

SETTINGS = TrackerSettings(
    event_stream="e", update_stream="u", events_table="e", programs_table="p", totals_table="t"
)


@pytest.fixture
def fargate(synthesise: Synthesis) -> ModuleType:
    """The module, whose import needs Node."""
    from cdk import fargate

    return fargate


def test_a_secret_reaches_the_variable_of_its_field(fargate: ModuleType) -> None:
    assert fargate.variable(SETTINGS, "admin_token") == "ADMIN_TOKEN"


def test_a_field_that_was_renamed_is_found_at_synthesis(fargate: ModuleType) -> None:
    with pytest.raises(KeyError, match="admin_key"):
        fargate.variable(SETTINGS, "admin_key")


@pytest.mark.parametrize(("needed_ms", "timeout_s"), [(18_500, 19), (120_000, 120)])
def test_ecs_waits_as_long_as_a_stop_takes(fargate: ModuleType, needed_ms: int, timeout_s: int) -> None:
    assert fargate.stop_timeout_s(needed_ms) == timeout_s


def test_a_stop_that_fargate_cannot_wait_for_is_refused(fargate: ModuleType) -> None:
    with pytest.raises(ValueError, match="121 s"):
        fargate.stop_timeout_s(120_001)
