"""The tests of the templates notice what they are there for: each weakening makes its test fail."""

from collections.abc import Callable

import pytest

from tests.cdk import test_cache, test_functions, test_network, test_roles, test_services
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


def of_persist(check: Callable[[Assembly, str], None]) -> Check:
    return lambda assembly: check(assembly, "Persist")


def of_the_tracker(check: Callable[[Assembly, str], None]) -> Check:
    return lambda assembly: check(assembly, "Tracker")


MAY_DO = test_roles.test_a_role_may_do_what_its_code_calls_and_no_more
NOTICED: list[tuple[Change, Check]] = [
    (redis_in_a_single_zone, test_cache.test_redis_survives_the_loss_of_a_zone),
    (redis_without_a_replica, test_cache.test_redis_survives_the_loss_of_a_zone),
    (redis_without_tls, test_cache.test_redis_takes_nothing_without_tls_and_password),
    (redis_open_to_the_world, test_network.test_redis_is_reached_by_our_services_alone),
    (redis_open_to_the_world, test_network.test_the_load_balancer_alone_is_open_to_the_world),
    (no_failure_destination, of_persist(test_functions.test_what_is_given_up_is_kept_whole)),
    (no_bisect, of_persist(test_functions.test_no_batch_blocks_a_shard_for_a_day)),
    (no_end_of_retries, of_persist(test_functions.test_no_batch_blocks_a_shard_for_a_day)),
    (a_role_for_every_action, of_persist(MAY_DO)),
    (a_role_for_every_resource, of_persist(MAY_DO)),
    (
        a_role_that_may_not_do_its_work,
        of_persist(MAY_DO),
    ),
    (no_circuit_breaker, of_the_tracker(test_services.test_a_deployment_that_does_not_start_is_rolled_back)),
    (a_container_as_root, of_the_tracker(test_services.test_a_container_is_neither_root_nor_writes)),
]


@pytest.mark.parametrize(("change", "check"), NOTICED)
def test_a_weakened_template_is_noticed(
    assemblies: dict[str, Assembly], change: Change, check: Check
) -> None:
    weakened = assemblies["standard"].copy()
    check(weakened)

    change(weakened)

    with pytest.raises((AssertionError, KeyError)):
        check(weakened)
