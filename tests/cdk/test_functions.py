import msgspec
import pytest

from cdk.profiles import PROFILES
from lambdas.settings import PersistSettings, RefreshSettings
from schemas.settings import load
from tests.cdk.conftest import Synthesis
from tests.cdk.policies import allows, statements
from tests.cdk.templates import Assembly, Properties

NAMES = ("Persist", "Refresh")
DAY_S = 86_400
IPV6 = "Ipv6AllowedForDualStack"


def function(assembly: Assembly, name: str) -> Properties:
    return assembly.one("AWS::Lambda::Function", name)


def mapping(assembly: Assembly, name: str) -> Properties:
    return assembly.one("AWS::Lambda::EventSourceMapping", name)


@pytest.mark.parametrize("name", NAMES)
def test_a_function_runs_on_arm64_with_a_log_of_its_own(assembly: Assembly, name: str) -> None:
    made = function(assembly, name)
    group = assembly.resolved(made["LoggingConfig"]["LogGroup"])

    assert made["Architectures"] == ["arm64"]
    assert made["Runtime"] == "python3.13"
    assert made["Handler"] == f"lambdas.{name.lower()}.handler"
    assert assembly.one("AWS::Logs::LogGroup", group)["RetentionInDays"] >= 7


@pytest.mark.parametrize(("name", "kind"), [("Persist", PersistSettings), ("Refresh", RefreshSettings)])
def test_a_function_starts_with_the_environment_it_is_given(
    assembly: Assembly, name: str, kind: type[msgspec.Struct]
) -> None:
    variables = assembly.resolved(function(assembly, name)["Environment"]["Variables"])

    load(kind, variables)
    assert variables.keys() <= {spec.encode_name for spec in msgspec.structs.fields(kind)}
    assert "AWS_REGION" not in variables


def test_no_password_stands_in_a_functions_environment(assembly: Assembly) -> None:
    assert "REDIS_PASSWORD" not in function(assembly, "Refresh")["Environment"]["Variables"]
    assert "resolve:" not in str(assembly.all("AWS::Lambda::Function"))


def test_refresh_is_in_the_vpc_and_persist_is_not(assembly: Assembly) -> None:
    inside = assembly.resolved(function(assembly, "Refresh")["VpcConfig"])

    assert all("Private" in subnet for subnet in inside["SubnetIds"])
    assert "VpcConfig" not in function(assembly, "Persist")


def test_refresh_reaches_its_secret_over_ipv6_where_there_is_no_other_way(
    assemblies: dict[str, Assembly],
) -> None:
    over_ipv6 = {
        name for name, each in assemblies.items() if function(each, "Refresh")["VpcConfig"].get(IPV6) is True
    }

    assert over_ipv6 == {"small"}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_given_up_is_kept_whole(assembly: Assembly, name: str) -> None:
    destination = mapping(assembly, name)["DestinationConfig"]["OnFailure"]["Destination"]

    assert "FailedEvents" in assembly.resolved(destination)


@pytest.mark.parametrize("name", NAMES)
def test_no_batch_blocks_a_shard_for_a_day(assembly: Assembly, name: str) -> None:
    made = mapping(assembly, name)

    assert made["BisectBatchOnFunctionError"] is True
    assert 0 < made["MaximumRetryAttempts"] <= 10_000
    assert 0 < made["MaximumRecordAgeInSeconds"] <= 2 * DAY_S
    assert made["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


@pytest.mark.parametrize(("name", "stream"), [("Persist", "Events"), ("Refresh", "Updates")])
def test_a_batch_is_given_up_before_it_leaves_the_stream(assembly: Assembly, name: str, stream: str) -> None:
    retention_h = assembly.one("AWS::Kinesis::Stream", stream)["RetentionPeriodHours"]

    assert mapping(assembly, name)["MaximumRecordAgeInSeconds"] < retention_h * 3_600


def test_a_new_mapping_misses_nothing(assembly: Assembly) -> None:
    assert {each["StartingPosition"] for each in assembly.all("AWS::Lambda::EventSourceMapping")} == {
        "TRIM_HORIZON"
    }


def test_a_mapping_waits_for_what_its_role_may_do(assembly: Assembly) -> None:
    for name, each in assembly.resources("AWS::Lambda::EventSourceMapping").items():
        assert any("DefaultPolicy" in needed for needed in each["DependsOn"]), name


def test_a_function_may_read_by_a_consumer_of_its_own(synthesise: Synthesis) -> None:
    made = synthesise({"persist.enhancedFanOut": "true"})
    consumer = made.logical_id("AWS::Kinesis::StreamConsumer")
    policy = statements(made, "PersistRole")

    assert made.resolved(mapping(made, "Persist")["EventSourceArn"]).startswith(consumer)
    assert allows(made, policy, "kinesis:SubscribeToShard", f"{consumer}.ConsumerARN")
    assert not allows(made, statements(made, "RefreshRole"), "kinesis:SubscribeToShard", consumer)


def test_nobody_pays_for_a_consumer_unasked(assembly: Assembly) -> None:
    assert assembly.all("AWS::Kinesis::StreamConsumer") == []


def test_a_mapping_reads_as_its_profile_says(assemblies: dict[str, Assembly]) -> None:
    for name, profile in PROFILES.items():
        made = mapping(assemblies[name], "Persist")

        assert made["BatchSize"] == profile.persist.source.batch_size
        assert made["ParallelizationFactor"] == profile.persist.source.parallelization_factor
        assert made["MaximumBatchingWindowInSeconds"] == profile.persist.source.batching_window_ms // 1_000
