"""The tests of the templates notice what they are there for: each weakening makes its test fail."""

from collections.abc import Callable

import pytest

from tests.cdk import (
    test_app,
    test_balancer,
    test_cache,
    test_functions,
    test_monitoring,
    test_network,
    test_roles,
    test_services,
    test_storage,
)
from tests.cdk.templates import Assembly

Change = Callable[[Assembly], None]
Check = Callable[[Assembly], None]


def redis_in_a_single_zone(assembly: Assembly) -> None:
    assembly.one(test_cache.GROUP)["MultiAZEnabled"] = False


def redis_without_a_replica(assembly: Assembly) -> None:
    assembly.one(test_cache.GROUP)["NumCacheClusters"] = 1


def redis_without_tls(assembly: Assembly) -> None:
    assembly.one(test_cache.GROUP)["TransitEncryptionEnabled"] = False


def redis_open_to_the_world(assembly: Assembly) -> None:
    rule = {"IpProtocol": "tcp", "FromPort": 6379, "ToPort": 6379, "CidrIp": "0.0.0.0/0"}
    test_network.groups(assembly)["Redis"]["SecurityGroupIngress"].append(rule)


def no_failure_destination(assembly: Assembly) -> None:
    del test_functions.mapping(assembly, "Persist")["DestinationConfig"]


def no_bisect(assembly: Assembly) -> None:
    test_functions.mapping(assembly, "Persist")["BisectBatchOnFunctionError"] = False


def no_end_of_retries(assembly: Assembly) -> None:
    test_functions.mapping(assembly, "Persist")["MaximumRetryAttempts"] = -1


def a_role_for_every_action(assembly: Assembly) -> None:
    test_roles.statement_of(assembly, "Persist")[0]["Action"] = "*"


def a_role_for_every_resource(assembly: Assembly) -> None:
    test_roles.statement_of(assembly, "Persist")[0]["Resource"] = "*"


def a_role_that_may_not_do_its_work(assembly: Assembly) -> None:
    del test_roles.statement_of(assembly, "Persist")[:]


def no_circuit_breaker(assembly: Assembly) -> None:
    rollout = test_services.service(assembly, "Tracker")["DeploymentConfiguration"]
    del rollout["DeploymentCircuitBreaker"]


def a_container_as_root(assembly: Assembly) -> None:
    test_services.container(assembly, "Tracker")["User"] = "0"


def tasks_whose_addresses_are_not_their_subnets(assembly: Assembly) -> None:
    network = test_services.service(assembly, "Tracker")["NetworkConfiguration"]["AwsvpcConfiguration"]
    network["AssignPublicIp"] = "DISABLED" if network["AssignPublicIp"] == "ENABLED" else "ENABLED"


def a_tracker_open_to_the_world(assembly: Assembly) -> None:
    rule = {"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080, "CidrIp": "0.0.0.0/0"}
    test_network.groups(assembly)["Tracker"]["SecurityGroupIngress"].append(rule)


def workers_open_to_the_world_over_ipv6(assembly: Assembly) -> None:
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIpv6": "::/0"}
    test_network.groups(assembly)["Workers"]["SecurityGroupIngress"] = [rule]


def redis_among_what_is_public(assembly: Assembly) -> None:
    subnets = assembly.one("AWS::ElastiCache::SubnetGroup")["SubnetIds"]
    subnets.append({"Ref": "NetworkVpcPublicSubnet1Subnet"})


def a_secret_in_plain_text(assembly: Assembly) -> None:
    variable = {"Name": "ADMIN_TOKEN", "Value": "password"}
    test_services.container(assembly, "Tracker")["Environment"].append(variable)


def a_tracker_that_is_killed_as_it_drains(assembly: Assembly) -> None:
    test_services.container(assembly, "Tracker")["StopTimeout"] = 10


def every_path_passed_on(assembly: Assembly) -> None:
    (default,) = assembly.one(test_balancer.LISTENER)["DefaultActions"]
    default["Type"] = "forward"


def metrics_for_everybody(assembly: Assembly) -> None:
    rule = assembly.all(test_balancer.RULE)[0]
    rule["Conditions"][0]["PathPatternConfig"]["Values"].append("/metrics")


def tables_that_cannot_be_restored(assembly: Assembly) -> None:
    del assembly.one("AWS::DynamoDB::Table", "Events")["PointInTimeRecoverySpecification"]


def a_bucket_for_everybody(assembly: Assembly) -> None:
    assembly.one("AWS::S3::Bucket", "FailedEvents")["PublicAccessBlockConfiguration"]["BlockPublicAcls"] = (
        False
    )


def data_that_goes_with_its_stack(assembly: Assembly) -> None:
    next(iter(assembly.templates["data"]["Resources"].values()))["DeletionPolicy"] = "Delete"


def an_alarm_that_tells_nobody(assembly: Assembly) -> None:
    next(iter(test_monitoring.alarms(assembly).values()))["AlarmActions"] = []


def of(name: str, check: Callable[[Assembly, str], None]) -> Check:
    """A test that is made for each of several parts, of this one."""

    def check_one(assembly: Assembly) -> None:
        check(assembly, name)

    check_one.__name__ = check.__name__
    return check_one


MAY_DO = test_roles.test_a_role_may_do_what_its_code_calls_and_no_more
PLACED = test_services.test_tasks_have_public_addresses_in_public_subnets_alone
NOTICED: list[tuple[Change, Check]] = [
    (redis_in_a_single_zone, test_cache.test_redis_survives_the_loss_of_a_zone),
    (redis_without_a_replica, test_cache.test_redis_survives_the_loss_of_a_zone),
    (redis_without_tls, test_cache.test_redis_takes_nothing_without_tls_and_password),
    (redis_open_to_the_world, test_network.test_redis_is_reached_by_our_services_alone),
    (redis_open_to_the_world, test_network.test_the_load_balancer_alone_is_open_to_the_world),
    (no_failure_destination, of("Persist", test_functions.test_what_is_given_up_is_kept_whole)),
    (no_bisect, of("Persist", test_functions.test_no_batch_blocks_a_shard_for_a_day)),
    (no_end_of_retries, of("Persist", test_functions.test_no_batch_blocks_a_shard_for_a_day)),
    (a_role_for_every_action, of("Persist", MAY_DO)),
    (a_role_for_every_resource, of("Persist", MAY_DO)),
    (a_role_that_may_not_do_its_work, of("Persist", MAY_DO)),
    (no_circuit_breaker, of("Tracker", test_services.test_a_deployment_that_does_not_start_is_rolled_back)),
    (tasks_whose_addresses_are_not_their_subnets, of("Tracker", PLACED)),
    (a_tracker_open_to_the_world, test_network.test_tasks_are_reached_by_the_load_balancer_alone),
    (a_tracker_open_to_the_world, test_network.test_the_load_balancer_alone_is_open_to_the_world),
    (workers_open_to_the_world_over_ipv6, test_network.test_tasks_are_reached_by_the_load_balancer_alone),
    (workers_open_to_the_world_over_ipv6, test_network.test_the_load_balancer_alone_is_open_to_the_world),
    (redis_among_what_is_public, test_cache.test_redis_is_in_the_private_subnets_behind_its_own_group),
    (a_secret_in_plain_text, test_services.test_the_trackers_secrets_are_injected),
    (a_tracker_that_is_killed_as_it_drains, test_services.test_a_tracker_has_the_time_to_stop_that_it_needs),
    (every_path_passed_on, test_balancer.test_all_else_is_404),
    (metrics_for_everybody, test_balancer.test_metrics_are_not_for_everybody),
    (tables_that_cannot_be_restored, test_storage.test_tables_are_paid_per_request_restorable_and_protected),
    (a_bucket_for_everybody, test_storage.test_no_bucket_is_public_or_plain),
    (data_that_goes_with_its_stack, test_app.test_data_outlives_its_stack),
    (an_alarm_that_tells_nobody, test_monitoring.test_every_alarm_says_what_it_means_and_tells_somebody),
    (a_container_as_root, of("Tracker", test_services.test_a_container_is_neither_root_nor_writes)),
]


@pytest.mark.parametrize("profile", ["small", "standard"])
@pytest.mark.parametrize(("change", "check"), NOTICED)
def test_a_weakened_template_is_noticed(
    assemblies: dict[str, Assembly], change: Change, check: Check, profile: str
) -> None:
    weakened = assemblies[profile].copy()
    check(weakened)

    change(weakened)

    with pytest.raises((AssertionError, KeyError)):
        check(weakened)
