"""The tracker's service: tasks behind the load balancer, scaled by requests."""

import math

from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from cdk.balancer import Balancer
from cdk.fargate import SCALE_IN_COOLDOWN, SCALE_OUT_COOLDOWN, Container, FargateService
from cdk.foundation import Foundation
from cdk.images import container_image
from cdk.metrics import namespace_of
from cdk.network import REDIS_PORT, TRACKER_PORT
from cdk.review import accept
from cdk.secret import generated_secret
from cdk.storage import Storage, grant_table
from cdk.streams import Streams
from schemas.dynamodb import PLACES_INDEX
from tracker.settings import TrackerSettings

ALIVE = f"import urllib.request as u; u.urlopen('http://127.0.0.1:{TRACKER_PORT}/health/live', timeout=4)"
STOP_MARGIN_MS = 5_000


class Tracker(Construct):
    """The service, its entrance, and its secrets: deployed, admin routes always ask for their token."""

    def __init__(self, scope: Construct, id: str, *, on: Foundation, cluster: ecs.ICluster) -> None:
        super().__init__(scope, id)
        profile = on.deployment.tracker
        settings = _settings(on)
        self.admin_token = self._admin_token()
        self.fargate = FargateService(
            self,
            "Tracker",
            cluster=cluster,
            network=on.network,
            security_group=on.network.tracker,
            container=self._container(on, settings),
            profile=profile,
            log_days=on.deployment.monitoring.log_days,
        )
        self.entrance = Balancer(
            self,
            "Entrance",
            network=on.network,
            logs=on.storage.logs,
            profile=profile,
            drain_s=drain_s(settings),
        )
        self.entrance.targets.add_target(self.fargate.service)
        self.fargate.count.scale_on_request_count(
            "Requests",
            target_group=self.entrance.targets,
            requests_per_target=profile.requests_per_task_minute,
            scale_in_cooldown=SCALE_IN_COOLDOWN,
            scale_out_cooldown=SCALE_OUT_COOLDOWN,
        )
        self._grant(on.storage, on.streams)

    def _container(self, on: Foundation, settings: TrackerSettings) -> Container:
        return Container(
            image=container_image(
                self, dockerfile="tracker/Dockerfile", prebuilt=on.deployment.container_image
            ),
            settings=settings,
            secrets={
                "admin_token": ecs.Secret.from_secrets_manager(self.admin_token),
                "secret": ecs.Secret.from_secrets_manager(on.storage.key),
                "redis_password": ecs.Secret.from_secrets_manager(on.cache.password),
            },
            health=["python", "-c", ALIVE],
            stop_timeout_ms=stop_timeout_ms(settings),
            port=TRACKER_PORT,
        )

    def _grant(self, storage: Storage, streams: Streams) -> None:
        role = self.fargate.task.task_role
        streams.events.grant(role, "kinesis:ListShards", "kinesis:PutRecords")
        streams.updates.grant(role, "kinesis:PutRecords")
        storage.programs.grant(role, "dynamodb:GetItem", "dynamodb:Scan")
        storage.totals.grant(role, "dynamodb:Query")
        grant_table(storage.events, role, "dynamodb:GetItem", "dynamodb:Query")
        grant_table(storage.events, role, "dynamodb:Query", index_name=PLACES_INDEX)

    def _admin_token(self) -> secretsmanager.Secret:
        token = generated_secret(self, "AdminToken")
        accept(
            token,
            "AwsSolutions-SMG4",
            "Whoever holds the token must be told of a new one; tasks read it as they start.",
        )
        return token


def _settings(on: Foundation) -> TrackerSettings:
    return TrackerSettings(
        region=on.deployment.region,
        metrics_namespace=namespace_of(on.deployment),
        log_format="json",
        event_stream=on.streams.events.stream_name,
        update_stream=on.streams.updates.stream_name,
        events_table=on.storage.events.table_name,
        event_store=on.deployment.persist.event_store,
        programs_table=on.storage.programs.table_name,
        totals_table=on.storage.totals.table_name,
        redis_host=on.cache.host,
        redis_port=REDIS_PORT,
        redis_tls=True,
        redis_channel=on.config.redis_channel,
        host="0.0.0.0",
        port=TRACKER_PORT,
        ack=on.deployment.tracker.acknowledgement,
        proxy_hops=1,
        rate_per_address_per_s=on.deployment.tracker.rate_per_address_per_s or None,
        keys_per_shard=on.deployment.persist.source.parallelization_factor,
    )


def stop_timeout_ms(settings: TrackerSettings) -> int:
    """The longest that a stop takes: serve on, answer what is in flight, confirm what is queued."""
    return settings.drain_delay_ms + settings.ack_timeout_ms + settings.drain_timeout_ms + STOP_MARGIN_MS


def drain_s(settings: TrackerSettings) -> int:
    """The longest that a request takes, after which the load balancer lets a task go."""
    return math.ceil(max(settings.ack_timeout_ms, settings.apply_timeout_ms) / 1_000)
