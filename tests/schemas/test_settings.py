import re
from collections.abc import Iterator
from types import ModuleType

import msgspec
import pytest
from msgspec import field

import lambdas.settings
import tracker.settings
import workers.settings
from lambdas.settings import PersistSettings, RefreshSettings
from schemas.errors import SettingsError
from schemas.settings import AwsSettings, Port, RedisSettings, load, to_environment
from tracker.settings import TrackerSettings
from workers.settings import HostSettings

TRACKER = {
    "EVENT_STREAM": "events",
    "UPDATE_STREAM": "updates",
    "EVENTS_TABLE": "events",
    "PROGRAMS_TABLE": "programs",
    "TOTALS_TABLE": "totals",
}
PERSIST = {
    "EVENTS_TABLE": "events",
    "TOTALS_TABLE": "totals",
    "UPDATE_STREAM": "updates",
    "FAILED_EVENTS_BUCKET": "failed",
}
REFRESH = {"PROGRAMS_TABLE": "programs", "FAILED_EVENTS_BUCKET": "failed"}
HOST = {"EVENT_STREAM": "events", "UPDATE_STREAM": "updates", "LEASES_TABLE": "leases"}

CHOSEN: list[tuple[type[AwsSettings], dict[str, str]]] = [
    (TrackerSettings, TRACKER),
    (
        TrackerSettings,
        TRACKER
        | {
            "AWS_REGION": "eu-central-1",
            "LOG_LEVEL": "DEBUG",
            "REDIS_URL": "rediss://user:secret@cache.example:6380/1",
            "REDIS_CHANNEL": "changes",
            "HOST": "0.0.0.0",
            "PORT": "65535",
            "ADMIN_TOKEN": "secret",
            "TRACKER_ACK": "buffered",
            "TRACKER_EVENT_MAX_BYTES": "262144",
            "TRACKER_KEYS_PER_SHARD": "10",
            "TRACKER_ABSENT_MAX_AGE_MS": "0",
        },
    ),
    (PersistSettings, PERSIST),
    (PersistSettings, PERSIST | {"AWS_REGION": "eu-central-1", "LOG_LEVEL": "ERROR"}),
    (RefreshSettings, REFRESH),
    (RefreshSettings, REFRESH | {"REDIS_HOST": "cache.example", "REDIS_PORT": "1"}),
    (RefreshSettings, REFRESH | {"REDIS_TLS": "true", "REDIS_PASSWORD": "pass", "REDIS_SECRET": "redis"}),
    (HostSettings, HOST),
    (HostSettings, HOST | {"LAMBDA_BATCH_SIZE": "10000", "LAMBDA_MAXIMUM_RETRY_ATTEMPTS": "0"}),
]


class Flagged(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of every kind of value."""

    name: str = field(name="FLAGGED_NAME")
    port: Port = field(name="FLAGGED_PORT", default=80)
    on: bool = field(name="FLAGGED_ON", default=False)
    off: bool = field(name="FLAGGED_OFF", default=True)


def _settings_of(module: ModuleType) -> Iterator[type[AwsSettings]]:
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, AwsSettings):
            yield value


KINDS = sorted(
    {
        kind
        for module in (lambdas.settings, tracker.settings, workers.settings)
        for kind in _settings_of(module)
    },
    key=lambda kind: kind.__name__,
)


def variables(kind: type[msgspec.Struct]) -> set[str]:
    return {spec.encode_name for spec in msgspec.structs.fields(kind)}


def required(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {
        spec.encode_name: spec.encode_name.lower() for spec in msgspec.structs.fields(kind) if spec.required
    }


@pytest.mark.parametrize(("kind", "environment"), CHOSEN)
def test_what_is_loaded_gives_back_its_environment(
    kind: type[AwsSettings], environment: dict[str, str]
) -> None:
    settings = load(kind, environment)

    assert to_environment(settings) == environment
    assert load(kind, to_environment(settings)) == settings


@pytest.mark.parametrize("kind", KINDS)
def test_the_required_variables_are_enough(kind: type[AwsSettings]) -> None:
    environment = required(kind)

    settings = load(kind, environment | {"PATH": "/bin", "HOME": "/"})

    assert to_environment(settings) == environment


@pytest.mark.parametrize("kind", [kind for kind in KINDS if required(kind)])
def test_every_missing_variable_is_named(kind: type[AwsSettings]) -> None:
    with pytest.raises(SettingsError) as raised:
        load(kind, {})

    assert str(raised.value).split("; ") == [f"{name} is not set" for name in required(kind)]


@pytest.mark.parametrize("kind", KINDS)
def test_variables_are_distinct_and_shaped_like_variables(kind: type[AwsSettings]) -> None:
    names = [spec.encode_name for spec in msgspec.structs.fields(kind)]

    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]*", name) for name in names)


def test_every_missing_and_every_bad_variable_is_named_at_once() -> None:
    environment = TRACKER | {
        "UPDATE_STREAM": "",
        "PORT": "65536",
        "LOG_LEVEL": "loud",
        "TRACKER_ACK": "never",
        "TRACKER_KEYS_PER_SHARD": "eleven",
    }
    del environment["EVENT_STREAM"]

    with pytest.raises(SettingsError) as raised:
        load(TrackerSettings, environment)

    assert str(raised.value).split("; ") == [
        "LOG_LEVEL='loud': Invalid enum value 'loud'",
        "EVENT_STREAM is not set",
        "UPDATE_STREAM is not set",
        "PORT='65536': Expected `int` <= 65535",
        "TRACKER_ACK='never': Invalid enum value 'never'",
        "TRACKER_KEYS_PER_SHARD='eleven': Expected `int`, got `str`",
    ]


@pytest.mark.parametrize("variable", TRACKER)
def test_a_required_variable_left_empty_is_not_set(variable: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{variable} is not set$"):
        load(TrackerSettings, TRACKER | {variable: ""})


def test_any_other_variable_left_empty_takes_its_default() -> None:
    empty = dict.fromkeys(variables(TrackerSettings), "")

    assert load(TrackerSettings, empty | TRACKER) == load(TrackerSettings, TRACKER)


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, "redis://127.0.0.1:6379"),
        ({"REDIS_URL": ""}, "redis://127.0.0.1:6379"),
        ({"REDIS_HOST": "cache.example"}, "redis://cache.example:6379"),
        ({"REDIS_PORT": "6380"}, "redis://127.0.0.1:6380"),
        ({"REDIS_HOST": "cache.example", "REDIS_PORT": "6380"}, "redis://cache.example:6380"),
        ({"REDIS_TLS": "true"}, "rediss://127.0.0.1:6379"),
        ({"REDIS_PASSWORD": "p:/@"}, "redis://:p%3A%2F%40@127.0.0.1:6379"),
        (
            {"REDIS_URL": "rediss://other.example/1", "REDIS_HOST": "cache.example"},
            "rediss://other.example/1",
        ),
    ],
)
def test_redis_is_at_its_url_or_else_where_its_parts_say(environment: dict[str, str], url: str) -> None:
    assert load(RedisSettings, environment).redis_url == url


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("false", False), ("0", False), ("True", True)]
)
def test_flags(text: str, value: bool) -> None:
    settings = load(Flagged, {"FLAGGED_NAME": "a", "FLAGGED_ON": text, "FLAGGED_OFF": text})

    assert (settings.on, settings.off) == (value, value)
    assert load(Flagged, to_environment(settings)) == settings


def test_flags_are_written_in_lower_case_and_only_when_changed() -> None:
    settings = Flagged(name="a", port=81, on=True, off=False)

    assert to_environment(settings) == {
        "FLAGGED_NAME": "a",
        "FLAGGED_PORT": "81",
        "FLAGGED_ON": "true",
        "FLAGGED_OFF": "false",
    }
    assert to_environment(Flagged(name="a")) == {"FLAGGED_NAME": "a"}


def test_the_names_users_depend_on() -> None:
    assert variables(TrackerSettings) >= {
        "AWS_REGION",
        "EVENT_STREAM",
        "UPDATE_STREAM",
        "EVENTS_TABLE",
        "PROGRAMS_TABLE",
        "REDIS_URL",
        "REDIS_HOST",
        "REDIS_PORT",
        "REDIS_CHANNEL",
        "TRACKER_ACK",
        "ADMIN_TOKEN",
        "PORT",
    }
    assert load(TrackerSettings, TRACKER).ack == "durable"
    assert load(TrackerSettings, TRACKER).port == 8080


def test_a_settings_error_keeps_its_cause() -> None:
    with pytest.raises(SettingsError) as raised:
        load(Flagged, {"FLAGGED_NAME": "a", "FLAGGED_PORT": "0"})

    assert isinstance(raised.value.__cause__, msgspec.ValidationError)
