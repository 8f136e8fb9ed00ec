"""The stream workers' service: agents that share the streams' shards by leases, scaled by how far behind."""

from aws_cdk import Duration
from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_kinesis as kinesis
from constructs import Construct

from cdk.fargate import SCALE_IN_COOLDOWN, Container, FargateService
from cdk.foundation import Foundation
from cdk.images import container_image
from cdk.metrics import namespace_of
from cdk.network import REDIS_PORT
from cdk.storage import Storage, grant_list, grant_put
from cdk.streams import Streams
from workers.settings import WorkerSettings

STOP_TIMEOUT_MS = 30_000
"""Long enough to finish what is in hand, save positions and give leases back."""
HEALTH_PORT = 8079
"""On the task's own loopback, for its health check alone."""


class Workers(Construct):
    """One service for all agents. More of them than shards would have nothing to do."""

    def __init__(self, scope: Construct, id: str, *, on: Foundation, cluster: ecs.ICluster) -> None:
        super().__init__(scope, id)
        profile = on.deployment.workers
        self.fargate = FargateService(
            self,
            "Workers",
            cluster=cluster,
            network=on.network,
            security_group=on.network.workers,
            container=Container(
                image=container_image(
                    self, dockerfile="workers/Dockerfile", prebuilt=on.deployment.worker_image
                ),
                settings=_settings(on),
                secrets={"redis_password": ecs.Secret.from_secrets_manager(on.cache.password)},
                health=["python", "-m", "workers", "--check"],
                stop_timeout_ms=STOP_TIMEOUT_MS,
            ),
            profile=profile,
            log_days=on.deployment.monitoring.log_days,
        )
        self._scale(on.streams.events, late_ms=profile.iterator_age_s * 1_000)
        self._grant(on.storage, on.streams)

    def _scale(self, stream: kinesis.Stream, *, late_ms: int) -> None:
        """By what the stream's slowest reader is behind."""
        self.fargate.count.scale_on_metric(
            "IteratorAge",
            metric=stream.metric_get_records_iterator_age_milliseconds(
                statistic="Maximum", period=Duration.minutes(1)
            ),
            scaling_steps=[
                scaling.ScalingInterval(upper=late_ms / 10, change=-1),
                scaling.ScalingInterval(lower=late_ms, change=1),
                scaling.ScalingInterval(lower=10 * late_ms, change=3),
            ],
            cooldown=SCALE_IN_COOLDOWN,
        )

    def _grant(self, storage: Storage, streams: Streams) -> None:
        role = self.fargate.task.task_role
        for stream in (streams.events, streams.updates, streams.touches):
            stream.grant(
                role,
                "kinesis:DescribeStreamSummary",
                "kinesis:GetRecords",
                "kinesis:GetShardIterator",
                "kinesis:ListShards",
            )
        for stream in (streams.updates, streams.touches):
            stream.grant(role, "kinesis:PutRecords")
        storage.leases.grant(role, "dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:UpdateItem")
        storage.state.grant(role, "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:Query")
        storage.matches.grant(role, "dynamodb:PutItem")
        grant_put(storage.failed_events, role)
        grant_list(storage.failed_events, role)


def _settings(on: Foundation) -> WorkerSettings:
    return WorkerSettings(
        region=on.deployment.region,
        metrics_namespace=namespace_of(on.deployment),
        log_format="json",
        event_stream=on.streams.events.stream_name,
        update_stream=on.streams.updates.stream_name,
        touch_stream=on.streams.touches.stream_name,
        leases_table=on.storage.leases.table_name,
        state_table=on.storage.state.table_name,
        matches_table=on.storage.matches.table_name,
        failed_events_bucket=on.storage.failed_events.bucket_name,
        redis_host=on.cache.host,
        redis_port=REDIS_PORT,
        redis_tls=True,
        redis_channel=on.config.redis_channel,
        health_port=HEALTH_PORT,
        commit_interval_ms=on.deployment.workers.commit_interval_ms,
    )
