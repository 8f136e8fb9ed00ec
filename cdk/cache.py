"""Redis: a replication group over two zones or more, with TLS and a password, for our services only."""

from aws_cdk import aws_elasticache as elasticache
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk import profiles
from cdk.log_group import log_group
from cdk.network import REDIS_PORT, Network
from cdk.review import accept
from cdk.secret import generated_secret

VERSIONS = {"redis": "7.1", "valkey": "8.1"}
"""Redis OSS ends at 7.1 on ElastiCache (Amazon ElastiCache User Guide, "Supported engines and versions")."""
LOG_FORMAT = "json"


class Cache(Construct):
    """The replication group. Nothing in it is needed to survive: it is rebuilt from DynamoDB."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        network: Network,
        profile: profiles.Cache,
        log_days: profiles.LogDays,
    ) -> None:
        super().__init__(scope, id)
        self.nodes = 1 + profile.replicas
        self.password = generated_secret(self, "Password")
        accept(
            self.password,
            "AwsSolutions-SMG4",
            "Tasks read the password as they start: it is changed by hand, with a restart, not by a timer.",
        )
        self.group = self._group(network, profile, log_days)

    @property
    def id(self) -> str:
        return self.group.ref

    @property
    def host(self) -> str:
        """The primary, whichever node that is."""
        return self.group.attr_primary_end_point_address

    def grant_password(self, grantee: iam.IGrantable) -> None:
        iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["secretsmanager:GetSecretValue"],
            resource_arns=[self.password.secret_arn],
        )

    def _group(
        self, network: Network, profile: profiles.Cache, log_days: profiles.LogDays
    ) -> elasticache.CfnReplicationGroup:
        subnets = elasticache.CfnSubnetGroup(
            self,
            "Subnets",
            description=f"{self.node.path}: private subnets",
            subnet_ids=[subnet.subnet_id for subnet in network.private_subnets],
        )
        group = elasticache.CfnReplicationGroup(
            self,
            "Redis",
            replication_group_description=f"{self.node.path}: core data and live totals",
            engine=profile.engine,
            engine_version=VERSIONS[profile.engine],
            cache_node_type=profile.node_type,
            num_cache_clusters=self.nodes,
            automatic_failover_enabled=True,
            multi_az_enabled=True,
            at_rest_encryption_enabled=True,
            transit_encryption_enabled=True,
            transit_encryption_mode="required",
            auth_token=self.password.secret_value.unsafe_unwrap(),
            port=REDIS_PORT,
            cache_subnet_group_name=subnets.ref,
            security_group_ids=[network.redis.security_group_id],
            auto_minor_version_upgrade=True,
            log_delivery_configurations=[self._slow_log(log_days)],
        )
        accept(
            group,
            "AwsSolutions-AEC5",
            "Another port hides nothing: the security group admits our services alone.",
        )
        return group

    def _slow_log(
        self, log_days: profiles.LogDays
    ) -> elasticache.CfnReplicationGroup.LogDeliveryConfigurationRequestProperty:
        group = elasticache.CfnReplicationGroup
        destination = group.CloudWatchLogsDestinationDetailsProperty(
            log_group=log_group(self, "SlowLog", log_days).log_group_name
        )
        return group.LogDeliveryConfigurationRequestProperty(
            log_type="slow-log",
            log_format=LOG_FORMAT,
            destination_type="cloudwatch-logs",
            destination_details=group.DestinationDetailsProperty(cloud_watch_logs_details=destination),
        )
