"""A Fargate service as all of ours are: arm64, not root, read-only, rolled back where it does not start."""

import math
from collections.abc import Mapping, Sequence

import msgspec
from aws_cdk import Duration
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from constructs import Construct
from msgspec import Struct

from cdk import profiles
from cdk.log_group import log_group
from cdk.network import Network
from cdk.review import accept
from schemas.settings import to_environment

USER = "65532:65532"
"""As in the Dockerfiles, and for an image that says nothing of it."""
STOP_TIMEOUT_MAX_S = 120
"""Amazon ECS API Reference, ContainerDefinition, stopTimeout."""
SCALE_IN_COOLDOWN = Duration.minutes(5)
SCALE_OUT_COOLDOWN = Duration.minutes(1)


class Container(Struct, frozen=True, kw_only=True):
    """What runs in a task."""

    image: ecs.ContainerImage
    settings: Struct
    """Its environment."""
    secrets: Mapping[str, ecs.Secret]
    """By field of `settings`. A value reaches the container as that field's variable, and no template."""
    health: Sequence[str]
    """A command that ends with 0 while it is well."""
    stop_timeout_ms: int
    """What it needs at most to stop."""
    port: int | None = None
    command: Sequence[str] | None = None


class FargateService(Construct):
    """One container as a service, and how many of it there are. CPU use scales it; more may be added."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        cluster: ecs.ICluster,
        network: Network,
        security_group: ec2.ISecurityGroup,
        container: Container,
        profile: profiles.Service,
        log_days: profiles.LogDays,
    ) -> None:
        super().__init__(scope, id)
        self.log = log_group(self, "Log", log_days)
        self.task = self._task(container, profile)
        self.service = ecs.FargateService(
            self,
            "Service",
            cluster=cluster,
            task_definition=self.task,
            vpc_subnets=ec2.SubnetSelection(subnets=network.task_subnets),
            security_groups=[security_group],
            assign_public_ip=network.is_public,
            capacity_provider_strategies=_capacity(profile),
            circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
            min_healthy_percent=100,
            max_healthy_percent=200,
            enable_execute_command=False,
            health_check_grace_period=Duration.seconds(30) if container.port else None,
        )
        self.count = self.service.auto_scale_task_count(
            min_capacity=profile.tasks_min, max_capacity=profile.tasks_max
        )
        self.count.scale_on_cpu_utilization(
            "Cpu",
            target_utilization_percent=profile.cpu_target_percent,
            scale_in_cooldown=SCALE_IN_COOLDOWN,
            scale_out_cooldown=SCALE_OUT_COOLDOWN,
        )

    def _task(self, container: Container, profile: profiles.Service) -> ecs.FargateTaskDefinition:
        task = ecs.FargateTaskDefinition(
            self,
            "Task",
            cpu=profile.cpu,
            memory_limit_mib=profile.memory_mb,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.ARM64,
                operating_system_family=ecs.OperatingSystemFamily.LINUX,
            ),
        )
        task.add_container(
            "Main",
            image=container.image,
            command=container.command,
            environment=to_environment(container.settings),
            secrets={variable(container.settings, field): kept for field, kept in container.secrets.items()},
            port_mappings=[ecs.PortMapping(container_port=container.port)] if container.port else None,
            user=USER,
            readonly_root_filesystem=True,
            linux_parameters=ecs.LinuxParameters(self, "Linux", init_process_enabled=True),
            health_check=ecs.HealthCheck(
                command=["CMD", *container.health],
                interval=Duration.seconds(15),
                timeout=Duration.seconds(10),
                retries=3,
                start_period=Duration.seconds(30),
            ),
            stop_timeout=Duration.seconds(stop_timeout_s(container.stop_timeout_ms)),
            logging=self._logging(),
        )
        accept(task, "AwsSolutions-ECS2", "What is secret is injected; the rest are names and limits.")
        accept(
            task.obtain_execution_role(),
            "AwsSolutions-IAM5[Resource::*]",
            "ECR gives its token for a whole registry; which repository may be pulled is limited.",
        )
        return task

    def _logging(self) -> ecs.LogDriver:
        """Lines are dropped, rather than that a slow log holds up who writes it."""
        return ecs.LogDrivers.aws_logs(
            stream_prefix=self.node.id.lower(), log_group=self.log, mode=ecs.AwsLogDriverMode.NON_BLOCKING
        )


def variable(settings: Struct, field: str) -> str:
    """The variable that gives a field its value. Raises KeyError for a field that is not there."""
    return {each.name: each.encode_name for each in msgspec.structs.fields(settings)}[field]


def stop_timeout_s(needed_ms: int) -> int:
    """How long ECS waits between SIGTERM and SIGKILL. Raises ValueError where Fargate cannot wait so long."""
    needed_s = math.ceil(needed_ms / 1_000)
    if needed_s > STOP_TIMEOUT_MAX_S:
        raise ValueError(f"a task may take {STOP_TIMEOUT_MAX_S} s to stop, not {needed_s} s")
    return needed_s


def _capacity(profile: profiles.Service) -> list[ecs.CapacityProviderStrategy]:
    on_demand, spot = "FARGATE", "FARGATE_SPOT"
    if not profile.spot:
        return [ecs.CapacityProviderStrategy(capacity_provider=on_demand, weight=1)]
    strategies = [ecs.CapacityProviderStrategy(capacity_provider=spot, weight=1)]
    if profile.on_demand_min:
        base = ecs.CapacityProviderStrategy(capacity_provider=on_demand, base=profile.on_demand_min, weight=0)
        strategies.insert(0, base)
    return strategies
