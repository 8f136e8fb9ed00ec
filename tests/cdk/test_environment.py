import msgspec
import pytest

from cdk.config import LOCAL
from cdk.local.environment import Addresses, Environments
from lambdas.settings import PersistSettings, RefreshSettings
from schemas.errors import SettingsError
from schemas.settings import load
from tracker.settings import TrackerSettings
from workers.settings import (
    HostSettings,
    LeasesSettings,
    RecountSettings,
    ReplaySettings,
    TailSettings,
    WorkerSettings,
)

ADDRESSES = Addresses(
    redis_url="redis://127.0.0.1:1",
    aws_url="http://127.0.0.1:2",
    kinesis_url="http://127.0.0.1:3",
    dynamodb_url="http://127.0.0.1:4",
)
COMMANDS = (WorkerSettings, TailSettings, LeasesSettings, RecountSettings, ReplaySettings)


def make_environments(**given: str) -> Environments:
    return Environments(given, LOCAL, ADDRESSES)


def test_a_tracker_gets_what_its_settings_ask_for() -> None:
    settings = load(TrackerSettings, make_environments().tracker(9000))

    assert settings.port == 9000
    assert settings.event_stream == LOCAL.event_stream.name
    assert settings.totals_table == LOCAL.totals.name
    assert settings.redis_url == ADDRESSES.redis_url


def test_a_host_gets_its_own_settings_and_its_functions() -> None:
    environments = make_environments()
    persist, refresh = environments.persist(), environments.refresh()

    assert load(HostSettings, persist).batch_size == LOCAL.persist_source.batch_size
    assert load(HostSettings, refresh).leases_table == LOCAL.leases.name
    assert load(PersistSettings, persist).update_stream == LOCAL.update_stream.name
    assert load(RefreshSettings, refresh).programs_table == LOCAL.programs.name


def test_workers_get_their_own_settings() -> None:
    settings = load(WorkerSettings, make_environments().workers())

    assert settings.state_table == LOCAL.state.name
    assert settings.redis_url == ADDRESSES.redis_url


@pytest.mark.parametrize(
    "kind", [WorkerSettings, TailSettings, LeasesSettings, RecountSettings, ReplaySettings]
)
def test_every_command_of_the_workers_finds_its_settings(kind: type[msgspec.Struct]) -> None:
    environment = make_environments(LOG_LEVEL="WARNING").commands()

    assert msgspec.structs.asdict(load(kind, environment))["log_level"] == "WARNING"
    assert environment["AWS_ENDPOINT_URL"] == ADDRESSES.aws_url


def test_kinesis_and_dynamodb_have_endpoints_of_their_own() -> None:
    environment = make_environments().tracker(9000)

    assert environment["AWS_ENDPOINT_URL"] == ADDRESSES.aws_url
    assert environment["AWS_ENDPOINT_URL_KINESIS"] == ADDRESSES.kinesis_url
    assert environment["AWS_ENDPOINT_URL_DYNAMODB"] == ADDRESSES.dynamodb_url


def test_the_callers_tuning_passes_and_the_rest_of_the_shell_does_not() -> None:
    environments = make_environments(
        PATH="/bin", TRACKER_ACK="buffered", EVENTS_TABLE="production", AWS_PROFILE="mine", HTTP_PROXY="x"
    )
    environment = environments.tracker(9000)

    assert environment["PATH"] == "/bin"
    assert environment["TRACKER_ACK"] == "buffered"
    assert environment["EVENTS_TABLE"] == LOCAL.events.name
    assert not {"AWS_PROFILE", "HTTP_PROXY"} & environment.keys()


def test_a_tracker_listens_on_this_machine_alone() -> None:
    environment = make_environments(HOST="0.0.0.0").tracker(9000)

    assert load(TrackerSettings, environment).host == "127.0.0.1"


def test_the_trackers_of_a_run_share_a_secret_of_its_own() -> None:
    first, second = make_environments(), make_environments(TRACKER_SECRET="")

    secrets = [
        load(TrackerSettings, each.tracker(port)).secret for each in (first, second) for port in (1, 2)
    ]

    assert secrets[0] == secrets[1] != secrets[2] == secrets[3]
    assert load(TrackerSettings, make_environments(TRACKER_SECRET="s" * 32).tracker(1)).secret == "s" * 32


def test_a_bad_setting_is_named_before_anything_starts() -> None:
    with pytest.raises(SettingsError, match="TRACKER_ACK='sometimes'"):
        make_environments(TRACKER_ACK="sometimes").tracker(9000)
