import re
from pathlib import Path

import msgspec
import pytest

from cdk.profiles import LARGE, PROFILES, SMALL, STANDARD, deployment
from schemas.errors import SettingsError

ROOT = Path(__file__).resolve().parents[2]
PARTS = "|".join(name for name, part in msgspec.to_builtins(SMALL).items() if isinstance(part, dict))
NAMED = re.compile(rf"(?<![\w-])((?:{PARTS})(?:\.[a-z]{{2}}\w*)+)(?:=(\w+))?")
"""A setting as documents name it, with the value that they give it."""


def test_no_context_is_the_small_profile() -> None:
    assert deployment({}) == SMALL


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_goes_by_its_name(name: str) -> None:
    assert deployment({"profile": name}) == PROFILES[name]


def test_profiles_grow() -> None:
    tasks = [profile.tracker.tasks_max for profile in (SMALL, STANDARD, LARGE)]

    assert tasks == sorted(set(tasks))


def test_the_context_changes_what_it_names_and_nothing_else() -> None:
    changed = deployment({"profile": "standard", "tracker.tasksMax": "20", "storage.retain": "false"})

    assert changed.tracker.tasks_max == 20
    assert changed.storage.retain is False
    assert changed.tracker.tasks_min == STANDARD.tracker.tasks_min
    assert changed.cache == STANDARD.cache


def test_keys_may_be_nested_as_in_a_file() -> None:
    nested = deployment({"persist": {"source": {"batchSize": 50}}, "name": "ads"})

    assert nested == deployment({"persist.source.batchSize": "50", "name": "ads"})


def test_the_keys_of_cdk_itself_are_passed_over() -> None:
    keys = {"@aws-cdk/core:checkSecretUsage": True, "aws:cdk:bundling-stacks": ["**"], "a:b": {"c": 1}}

    assert deployment(keys) == SMALL


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("profile", "huge", r"^profile='huge': expected one of small, standard, large$"),
        ("tracker.taskMax", "3", r"^unknown key 'tracker.taskMax'; did you mean tracker.tasksMax\?$"),
        ("colour", "red", r"^unknown key 'colour'$"),
        ("tracker.tasksMax", "many", r"^tracker.tasksMax='many': Expected `int`, got `str`$"),
        ("tracker.cpu", "300", r"^tracker.cpu='300': Invalid enum value 300$"),
        ("network.zones", "1", r"^network.zones='1': Expected `int` >= 2$"),
        ("cache.replicas", "0", r"^cache.replicas='0': Expected `int` >= 1$"),
        ("storage.retain", "perhaps", r"^storage.retain='perhaps': "),
        ("tracker.certificateArn", "example.com", r"^tracker.certificateArn='example.com': "),
        ("name", "My Tracker", r"^name='My Tracker': "),
        ("tracker.tasksMax", "1", r"tasksMin is greater than tasksMax.*tracker"),
        ("monitoring.budgetUsdMonth", "100", r"budgetUsdMonth needs email"),
        ("persist.source.batchingWindowMs", "1500", r"batchingWindowMs is not in whole seconds"),
        ("persist.source.maximumRecordAgeS", "86400", r"maximumRecordAgeS is not between"),
        ("refresh.source.maximumRecordAgeS", "-1", r"maximumRecordAgeS is not between"),
    ],
)
def test_what_is_wrong_is_named(key: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        deployment({key: value})


def own(key: str) -> object:
    """The value of a path of fields in the small profile."""
    value = msgspec.to_builtins(SMALL)
    for field in key.split("."):
        value = value[field]
    return value


@pytest.mark.parametrize("page", ["aws.md", "cost.md", "decisions/0033-public-tasks.md"])
def test_every_setting_that_a_page_names_is_one_and_takes_the_value_that_it_is_given(page: str) -> None:
    named = NAMED.findall((ROOT / "docs" / page).read_text())

    assert named
    for key, value in named:
        assert not isinstance(own(key), dict), key
        if value:
            deployment({key: value, "monitoring.email": "team@example.com"})
