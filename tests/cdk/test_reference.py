"""What the reference architecture ("Reactive Microservices", AWS) has as infrastructure: a test a row."""

import pytest

from tests.cdk import (
    test_balancer,
    test_cache,
    test_functions,
    test_network,
    test_services,
    test_storage,
    test_streams,
)
from tests.cdk.conftest import Synthesis
from tests.cdk.templates import Assembly

BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"


def test_vpc_with_public_and_private_subnets_over_several_zones(assembly: Assembly) -> None:
    test_network.test_subnets_are_public_and_private_over_several_zones(assembly)
    assert assembly.one("AWS::EC2::VPC")["EnableDnsHostnames"] is True
    assert len(assembly.all("AWS::EC2::InternetGateway")) == 1


def test_highly_available_ecs_cluster_on_fargate(assembly: Assembly) -> None:
    providers = assembly.one("AWS::ECS::ClusterCapacityProviderAssociations")["CapacityProviders"]
    zones = assembly.resolved(
        test_services.service(assembly, "Tracker")["NetworkConfiguration"]["AwsvpcConfiguration"]["Subnets"]
    )
    fewest = assembly.one(test_services.TARGET, "Tracker")["MinCapacity"]

    assert providers == ["FARGATE", "FARGATE_SPOT"]
    assert len(zones) >= 2
    assert fewest >= 2


def test_load_balancer_with_path_based_routing(assembly: Assembly) -> None:
    assert assembly.one(BALANCER)["Scheme"] == "internet-facing"
    assert {"/event/*", "/cache/*", "/health/*"} <= set(test_balancer.passed_on(assembly))
    test_balancer.test_all_else_is_404(assembly)


def test_cloudwatch_logs(assembly: Assembly) -> None:
    logs = assembly.all("AWS::Logs::LogGroup")
    writers = [
        *assembly.all("AWS::Lambda::Function"),
        *assembly.all("AWS::ECS::TaskDefinition"),
    ]

    assert len(logs) >= len(writers) == 4


def test_log_retention_of_a_week_or_more(assembly: Assembly) -> None:
    assert all(each["RetentionInDays"] >= 7 for each in assembly.all("AWS::Logs::LogGroup"))


def test_kinesis_1_to_lambda_to_dynamodb(assembly: Assembly) -> None:
    mapping = test_functions.mapping(assembly, "Persist")
    variables = assembly.resolved(test_functions.function(assembly, "Persist")["Environment"]["Variables"])

    assert "Events" in assembly.resolved(mapping["EventSourceArn"])
    assert "Persist" in assembly.resolved(mapping["FunctionName"])
    assert variables["EVENTS_TABLE"] == assembly.logical_id("AWS::DynamoDB::Table", "Events")


def test_kinesis_2_to_lambda_to_redis(assembly: Assembly) -> None:
    mapping = test_functions.mapping(assembly, "Refresh")
    variables = assembly.resolved(test_functions.function(assembly, "Refresh")["Environment"]["Variables"])

    assert "Updates" in assembly.resolved(mapping["EventSourceArn"])
    assert "Refresh" in assembly.resolved(mapping["FunctionName"])
    assert variables["REDIS_HOST"].startswith(assembly.logical_id(test_cache.GROUP))


def test_enhanced_fan_out_consumer_as_an_option(synthesise: Synthesis) -> None:
    test_functions.test_a_function_may_read_by_a_consumer_of_its_own(synthesise)


def test_two_streams_and_one_of_ours(assembly: Assembly) -> None:
    test_streams.test_there_are_three_streams_encrypted(assembly)


def test_durable_store_for_core_data_with_redis_as_cache_only(assembly: Assembly) -> None:
    test_storage.test_every_table_of_the_configuration_is_there_with_its_key(assembly)


def test_redis_7_in_two_zones_with_replication_and_automatic_failover(assembly: Assembly) -> None:
    test_cache.test_redis_survives_the_loss_of_a_zone(assembly)
    assert assembly.one(test_cache.GROUP)["EngineVersion"].startswith("7.")


def test_service_autoscaling_by_cpu(assembly: Assembly) -> None:
    test_services.test_trackers_scale_by_requests_and_cpu(assembly)


@pytest.mark.parametrize("name", test_services.NAMES)
def test_deployment_circuit_breaker(assembly: Assembly, name: str) -> None:
    test_services.test_a_deployment_that_does_not_start_is_rolled_back(assembly, name)


@pytest.mark.parametrize("name", test_services.NAMES)
def test_container_health_checks(assembly: Assembly, name: str) -> None:
    test_services.test_a_container_says_whether_it_is_well(assembly, name)
    assert assembly.one(test_balancer.TARGETS)["HealthCheckPath"] == "/health/ready"


def test_the_endpoint_is_an_output(assembly: Assembly) -> None:
    assert "LoadBalancerDNS" in assembly.templates["services"]["Outputs"]
