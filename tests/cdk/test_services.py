"""The two Fargate services: what they have in common, and what is the tracker's or the workers' own."""

import msgspec
import pytest

from cdk.profiles import PROFILES
from schemas.settings import load
from tests.cdk.conftest import Synthesis
from tests.cdk.templates import Assembly, Properties
from tracker.settings import TrackerSettings
from workers.settings import WorkerSettings

NAMES = ("Tracker", "Workers")
SERVICE = "AWS::ECS::Service"
TASK = "AWS::ECS::TaskDefinition"
TARGET = "AWS::ApplicationAutoScaling::ScalableTarget"
POLICY = "AWS::ApplicationAutoScaling::ScalingPolicy"


def service(assembly: Assembly, name: str) -> Properties:
    return assembly.one(SERVICE, name)


def container(assembly: Assembly, name: str) -> Properties:
    (made,) = assembly.one(TASK, name)["ContainerDefinitions"]
    properties: Properties = made
    return properties


def variables(assembly: Assembly, name: str) -> dict[str, str]:
    return {
        each["Name"]: assembly.resolved(each["Value"]) for each in container(assembly, name)["Environment"]
    }


def secrets(assembly: Assembly, name: str) -> dict[str, str]:
    kept = container(assembly, name).get("Secrets", [])
    return {each["Name"]: assembly.resolved(each["ValueFrom"]) for each in kept}


@pytest.mark.parametrize("name", NAMES)
def test_a_deployment_that_does_not_start_is_rolled_back(assembly: Assembly, name: str) -> None:
    rollout = service(assembly, name)["DeploymentConfiguration"]

    assert rollout["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    assert rollout["MinimumHealthyPercent"] == 100


def placed(assembly: Assembly, name: str) -> Properties:
    found: Properties = assembly.resolved(service(assembly, name)["NetworkConfiguration"])
    properties: Properties = found["AwsvpcConfiguration"]
    return properties


@pytest.mark.parametrize("name", NAMES)
def test_tasks_have_public_addresses_in_public_subnets_alone(assembly: Assembly, name: str) -> None:
    network = placed(assembly, name)
    kind = "Public" if network["AssignPublicIp"] == "ENABLED" else "Private"

    assert network["Subnets"]
    assert all(kind in each for each in network["Subnets"])


def test_tasks_have_public_addresses_where_the_profile_says_so(assemblies: dict[str, Assembly]) -> None:
    for name, profile in PROFILES.items():
        expected = "ENABLED" if profile.network.egress == "public" else "DISABLED"

        assert {placed(assemblies[name], part)["AssignPublicIp"] for part in NAMES} == {expected}


@pytest.mark.parametrize("name", NAMES)
def test_nobody_gets_into_tasks_but_by_their_own_group(assembly: Assembly, name: str) -> None:
    groups = placed(assembly, name)["SecurityGroups"]

    assert [each.startswith(f"Network{name}") for each in groups] == [True]
    assert service(assembly, name)["EnableExecuteCommand"] is False


@pytest.mark.parametrize("name", NAMES)
def test_a_container_is_neither_root_nor_writes(assembly: Assembly, name: str) -> None:
    made = container(assembly, name)

    assert made["User"] == "65532:65532"
    assert made["ReadonlyRootFilesystem"] is True
    assert not made.get("Privileged")
    assert assembly.one(TASK, name)["RuntimePlatform"] == {
        "CpuArchitecture": "ARM64",
        "OperatingSystemFamily": "LINUX",
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_container_says_whether_it_is_well(assembly: Assembly, name: str) -> None:
    command = container(assembly, name)["HealthCheck"]["Command"]

    assert command[:2] == ["CMD", "python"]


@pytest.mark.parametrize("name", NAMES)
def test_logs_are_kept_for_a_week_and_never_block(assembly: Assembly, name: str) -> None:
    logging = container(assembly, name)["LogConfiguration"]["Options"]
    group = assembly.one("AWS::Logs::LogGroup", assembly.resolved(logging["awslogs-group"]))

    assert group["RetentionInDays"] >= 7
    assert logging["mode"] == "non-blocking"


def test_a_tracker_starts_with_the_environment_it_is_given(assembly: Assembly) -> None:
    given = variables(assembly, "Tracker") | dict.fromkeys(secrets(assembly, "Tracker"), "s" * 48)
    settings = load(TrackerSettings, given)

    assert given.keys() <= {spec.encode_name for spec in msgspec.structs.fields(TrackerSettings)}
    assert settings.host == "0.0.0.0"
    assert settings.redis_tls is True
    assert settings.proxy_hops == 1
    assert settings.rate_per_address_per_s == 200


def test_a_tracker_takes_any_rate_where_the_profile_sets_none(synthesise: Synthesis) -> None:
    unlimited = synthesise({"tracker.ratePerAddressPerS": "0"})

    settings = load(TrackerSettings, variables(unlimited, "Tracker"))
    assert settings.rate_per_address_per_s is None


def test_the_trackers_secrets_are_injected(assembly: Assembly) -> None:
    assert secrets(assembly, "Tracker").keys() == {"ADMIN_TOKEN", "TRACKER_SECRET", "REDIS_PASSWORD"}
    assert not secrets(assembly, "Tracker").keys() & variables(assembly, "Tracker").keys()


def test_lanes_have_as_many_keys_as_lambda_takes_batches_of_a_shard(
    assemblies: dict[str, Assembly],
) -> None:
    for name, profile in PROFILES.items():
        settings = load(TrackerSettings, variables(assemblies[name], "Tracker"))

        assert settings.keys_per_shard == profile.persist.source.parallelization_factor


def test_workers_start_with_the_environment_they_are_given(assembly: Assembly) -> None:
    given = variables(assembly, "Workers") | secrets(assembly, "Workers")
    settings = load(WorkerSettings, given)

    assert given.keys() <= {spec.encode_name for spec in msgspec.structs.fields(WorkerSettings)}
    assert settings.redis_tls is True
    assert settings.health_port
    assert settings.stop_timeout_ms < container(assembly, "Workers")["StopTimeout"] * 1_000


def test_workers_are_given_the_password_of_redis_and_nothing_else(assembly: Assembly) -> None:
    assert secrets(assembly, "Workers").keys() == {"REDIS_PASSWORD"}
    assert "REDIS_PASSWORD" not in variables(assembly, "Workers")


def test_a_tracker_has_the_time_to_stop_that_it_needs(assembly: Assembly) -> None:
    settings = load(TrackerSettings, variables(assembly, "Tracker"))
    needed_ms = settings.drain_delay_ms + settings.ack_timeout_ms + settings.drain_timeout_ms

    assert needed_ms < container(assembly, "Tracker")["StopTimeout"] * 1_000 <= 120_000


def test_tasks_are_as_many_as_the_profile_says(assemblies: dict[str, Assembly]) -> None:
    for name, profile in PROFILES.items():
        for part, expected in (("Tracker", profile.tracker), ("Workers", profile.workers)):
            made = assemblies[name].one(TARGET, part)

            assert (made["MinCapacity"], made["MaxCapacity"]) == (expected.tasks_min, expected.tasks_max)
            assert "DesiredCount" not in service(assemblies[name], part)


def test_trackers_scale_by_requests_and_cpu(assembly: Assembly) -> None:
    policies = [each for name, each in assembly.resources(POLICY).items() if "Tracker" in name]
    metrics = {
        each["Properties"]["TargetTrackingScalingPolicyConfiguration"]["PredefinedMetricSpecification"][
            "PredefinedMetricType"
        ]
        for each in policies
    }

    assert metrics == {"ALBRequestCountPerTarget", "ECSServiceAverageCPUUtilization"}


def test_workers_scale_by_how_far_they_are_behind(assembly: Assembly) -> None:
    alarms = [
        each["Properties"]["MetricName"]
        for name, each in assembly.resources("AWS::CloudWatch::Alarm").items()
        if name.startswith("services/Workers")
    ]
    steps = [
        step["ScalingAdjustment"]
        for name, each in assembly.resources(POLICY).items()
        if "IteratorAge" in name
        for step in each["Properties"]["StepScalingPolicyConfiguration"]["StepAdjustments"]
    ]

    assert alarms == 2 * ["GetRecords.IteratorAgeMilliseconds"]
    assert sorted(steps) == [-1, 1, 3]


ON_DEMAND = {"CapacityProvider": "FARGATE", "Weight": 1}
SPOT = {"CapacityProvider": "FARGATE_SPOT", "Weight": 1}


def capacity(assembly: Assembly, name: str) -> list[Properties]:
    strategy: list[Properties] = service(assembly, name)["CapacityProviderStrategy"]
    return strategy


def base(tasks: int) -> Properties:
    return {"CapacityProvider": "FARGATE", "Base": tasks, "Weight": 0}


def test_trackers_are_no_spot_tasks_unless_asked_for(assembly: Assembly) -> None:
    assert capacity(assembly, "Tracker") == [ON_DEMAND]


def test_all_trackers_but_the_fewest_may_be_spot_tasks(synthesise: Synthesis) -> None:
    assert capacity(synthesise({"tracker.spot": "true"}), "Tracker") == [base(2), SPOT]


@pytest.mark.parametrize(
    ("profile", "strategy"),
    [("small", [SPOT]), ("standard", [base(1), SPOT]), ("large", [ON_DEMAND])],
)
def test_workers_are_spot_tasks_where_the_profile_says_so(
    assemblies: dict[str, Assembly], profile: str, strategy: list[Properties]
) -> None:
    assert capacity(assemblies[profile], "Workers") == strategy


def test_what_spot_gives_to_stop_in_is_more_than_a_task_takes(assembly: Assembly) -> None:
    for name in NAMES:
        assert container(assembly, name)["StopTimeout"] <= 120


@pytest.mark.parametrize(
    ("image", "shown"),
    [
        (
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/ads/tracker:1.2",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/ads/tracker:1.2",
        ),
        (
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/tracker@sha256:" + "a" * 64,
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/tracker@sha256:" + "a" * 64,
        ),
        ("example.com/tracker:2", "example.com/tracker:2"),
    ],
)
def test_a_prebuilt_image_is_deployed_as_it_is(synthesise: Synthesis, image: str, shown: str) -> None:
    made = synthesise({"containerImage": image})

    assert made.resolved(container(made, "Tracker")["Image"]) == shown


def test_without_an_image_one_is_built_for_arm64(synthesise: Synthesis) -> None:
    made = synthesise({"containerImage": ""})
    (image,) = made.asset_images("services")

    assert image["dockerFile"] == "tracker/Dockerfile"
    assert image["platform"] == "linux/arm64"
