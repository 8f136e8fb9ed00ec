from tests.cdk.conftest import Synthesis
from tests.cdk.templates import Assembly

GROUP = "AWS::ElastiCache::ReplicationGroup"


def test_redis_survives_the_loss_of_a_zone(assembly: Assembly) -> None:
    group = assembly.one(GROUP)

    assert group["NumCacheClusters"] >= 2
    assert group["AutomaticFailoverEnabled"] is True
    assert group["MultiAZEnabled"] is True


def test_redis_is_the_last_one_of_elasticache(assembly: Assembly) -> None:
    group = assembly.one(GROUP)

    assert (group["Engine"], group["EngineVersion"]) == ("redis", "7.1")


def test_redis_takes_nothing_without_tls_and_password(assembly: Assembly) -> None:
    group = assembly.one(GROUP)
    secret = next(name for name in assembly.resources("AWS::SecretsManager::Secret") if "cache/" in name)

    assert group["TransitEncryptionEnabled"] is True
    assert group["TransitEncryptionMode"] == "required"
    assert group["AtRestEncryptionEnabled"] is True
    assert assembly.resolved(group["AuthToken"]) == (
        f"{{{{resolve:secretsmanager:{secret.partition('/')[2]}:SecretString:::}}}}"
    )


def test_redis_is_in_the_private_subnets_behind_its_own_group(assembly: Assembly) -> None:
    subnets = assembly.resolved(assembly.one("AWS::ElastiCache::SubnetGroup")["SubnetIds"])
    (group,) = assembly.resolved(assembly.one(GROUP)["SecurityGroupIds"])

    assert subnets and all("Private" in each for each in subnets)
    assert group.startswith("NetworkRedis")


def test_valkey_is_one_setting_away(synthesise: Synthesis) -> None:
    group = synthesise({"cache.engine": "valkey"}).one(GROUP)

    assert (group["Engine"], group["EngineVersion"]) == ("valkey", "8.1")


def test_more_replicas_are_one_setting_away(synthesise: Synthesis) -> None:
    assert synthesise({"cache.replicas": "3"}).one(GROUP)["NumCacheClusters"] == 4
