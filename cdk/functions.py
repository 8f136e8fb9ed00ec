"""The two Lambda functions: what each may do, and how it is fed from its stream."""

from collections.abc import Callable
from pathlib import Path

import msgspec
from aws_cdk import Duration
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from constructs import Construct

from cdk import profiles
from cdk.assets import FunctionName
from cdk.config import EventSource
from cdk.foundation import Foundation
from cdk.log_group import log_group
from cdk.metrics import namespace_of
from cdk.network import REDIS_PORT, Network
from cdk.review import accept
from cdk.storage import grant_give_up, grant_table
from cdk.streams import CONSUMER_ACTIONS, READ_ACTIONS
from lambdas.settings import PersistSettings, RefreshSettings
from schemas.settings import to_environment

Bundle = Callable[[FunctionName], Path]
"""Where a function's code is: see cdk.assets.lambda_bundle."""

INTERFACE_ACTIONS = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)
"""AWS Lambda Developer Guide, "Giving Lambda functions access to resources in an Amazon VPC"."""


class StreamFunction(Construct):
    """A function on a stream. It reports partial failures, a batch that it fails on is halved, and what is
    given up goes to the bucket with its payload.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        bundle: Path,
        stream: kinesis.Stream,
        failures: s3.Bucket,
        settings: msgspec.Struct,
        profile: profiles.Function,
        log_days: profiles.LogDays,
        network: Network | None = None,
    ) -> None:
        """`network` is given to a function that must reach something inside the VPC. `settings` keep the
        default region: Lambda sets AWS_REGION, and lets nobody else do it.
        """
        super().__init__(scope, id)
        log = log_group(self, "Log", log_days)
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        log.grant_write(self.role)
        stream.grant(self.role, *READ_ACTIONS)
        grant_give_up(failures, self.role)
        if network:
            self._grant_interfaces()
        self.function = lambda_.Function(
            self,
            "Function",
            code=lambda_.Code.from_asset(str(bundle)),
            handler=f"lambdas.{id.lower()}.handler",
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            memory_size=profile.memory_mb,
            timeout=Duration.seconds(profile.timeout_s),
            environment=to_environment(settings),
            role=self.role,
            log_group=log,
            vpc=network.vpc if network else None,
            vpc_subnets=ec2.SubnetSelection(subnets=network.private_subnets) if network else None,
            security_groups=[network.refresh] if network else None,
            ipv6_allowed_for_dual_stack=True if network and network.is_public else None,
        )
        accept(
            self.function, "AwsSolutions-L1", "Python 3.13 is what the bundles are built and measured for."
        )
        origin = self._consumer(stream) if profile.enhanced_fan_out else stream.stream_arn
        self._map(origin, failures, profile.source)

    def _consumer(self, stream: kinesis.Stream) -> str:
        """The ARN of an enhanced fan-out consumer that this function may read by."""
        consumer = kinesis.StreamConsumer(
            self, "Consumer", stream=stream, stream_consumer_name=self.node.path.replace("/", "-")
        )
        consumer.grant(self.role, *CONSUMER_ACTIONS)
        return consumer.stream_consumer_arn

    def _map(self, origin: str, failures: s3.Bucket, source: EventSource) -> None:
        mapping = lambda_.CfnEventSourceMapping
        self.mapping = mapping(
            self,
            "Mapping",
            function_name=self.function.function_name,
            event_source_arn=origin,
            starting_position="TRIM_HORIZON",
            batch_size=source.batch_size,
            maximum_batching_window_in_seconds=source.batching_window_ms // 1_000,
            parallelization_factor=source.parallelization_factor,
            bisect_batch_on_function_error=source.bisect,
            maximum_record_age_in_seconds=source.maximum_record_age_s,
            maximum_retry_attempts=source.maximum_retry_attempts,
            function_response_types=["ReportBatchItemFailures"],
            destination_config=mapping.DestinationConfigProperty(
                on_failure=mapping.OnFailureProperty(destination=failures.bucket_arn)
            ),
        )
        self.mapping.node.add_dependency(self.role)

    def _grant_interfaces(self) -> None:
        self.role.add_to_policy(iam.PolicyStatement(actions=list(INTERFACE_ACTIONS), resources=["*"]))
        accept(
            self.role,
            "AwsSolutions-IAM5[Resource::*]",
            "Lambda makes network interfaces in the VPC; they have no names before they are there.",
        )


class Functions(Construct):
    """`persist`, outside the VPC, and `refresh`, inside it since it speaks to Redis."""

    def __init__(self, scope: Construct, id: str, *, on: Foundation, bundle: Bundle) -> None:
        super().__init__(scope, id)
        self.persist = self._persist(on, bundle("persist"))
        self.refresh = self._refresh(on, bundle("refresh"))

    def _persist(self, on: Foundation, bundle: Path) -> StreamFunction:
        persist = StreamFunction(
            self,
            "Persist",
            bundle=bundle,
            stream=on.streams.events,
            failures=on.storage.failed_events,
            settings=PersistSettings(
                metrics_namespace=namespace_of(on.deployment),
                log_format="json",
                events_table=on.storage.events.table_name,
                totals_table=on.storage.totals.table_name,
                update_stream=on.streams.updates.stream_name,
                failed_events_bucket=on.storage.failed_events.bucket_name,
                event_store=on.deployment.persist.event_store,
            ),
            profile=on.deployment.persist,
            log_days=on.deployment.monitoring.log_days,
        )
        grant_table(
            on.storage.events,
            persist.role,
            "dynamodb:BatchGetItem",
            "dynamodb:PartiQLInsert",
            "dynamodb:PutItem",
            "dynamodb:Query",
        )
        on.storage.totals.grant(persist.role, "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query")
        on.streams.updates.grant(persist.role, "kinesis:PutRecords")
        return persist

    def _refresh(self, on: Foundation, bundle: Path) -> StreamFunction:
        refresh = StreamFunction(
            self,
            "Refresh",
            bundle=bundle,
            stream=on.streams.updates,
            failures=on.storage.failed_events,
            settings=RefreshSettings(
                metrics_namespace=namespace_of(on.deployment),
                log_format="json",
                programs_table=on.storage.programs.table_name,
                failed_events_bucket=on.storage.failed_events.bucket_name,
                redis_host=on.cache.host,
                redis_port=REDIS_PORT,
                redis_tls=True,
                redis_secret=on.cache.password.secret_arn,
                redis_channel=on.config.redis_channel,
            ),
            profile=on.deployment.refresh,
            log_days=on.deployment.monitoring.log_days,
            network=on.network,
        )
        on.storage.programs.grant(refresh.role, "dynamodb:GetItem", "dynamodb:PutItem")
        on.cache.grant_password(refresh.role)
        return refresh
