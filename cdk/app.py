"""The stacks, and what each is made of. A change to code touches the last three and never data.

network ─▶ cache ──┬─▶ functions ──┐
data ──────────────┴─▶ services ───┴─▶ monitoring

Services come after functions, too: `refresh` knows a new kind of update before a worker sends one.
"""

from aws_cdk import App, CfnOutput, Environment, Stack, Tags, Validations
from aws_cdk import aws_ecs as ecs
from aws_cdk.cx_api import CloudAssembly
from cdk_nag import AwsSolutionsChecks

from cdk.cache import Cache
from cdk.config import Config
from cdk.foundation import Foundation
from cdk.functions import Bundle, Functions
from cdk.monitoring import Monitoring
from cdk.network import Network
from cdk.profiles import Deployment, deployment
from cdk.review import accept
from cdk.storage import Storage, removal_policy
from cdk.streams import Streams
from cdk.tracker import Tracker
from cdk.workers import Workers


def synthesise(app: App, *, bundle: Bundle) -> CloudAssembly:
    """The templates of the deployment that the app's context asks for, reviewed by cdk-nag. `bundle` says
    where a function's code is.

    Raises SettingsError for a context that is not right, and what jsii raises for a finding that stands.
    """
    compose(app, deployment(app.node.get_all_context()), bundle=bundle)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    return app.synth()


def compose(app: App, chosen: Deployment, *, bundle: Bundle) -> None:
    """Adds the stacks of one deployment."""
    foundation = lay_foundation(app, chosen)
    functions = Functions(_stack(app, chosen, "functions"), "Functions", on=foundation, bundle=bundle)
    services = _stack(app, chosen, "services")
    services.add_stack_dependency(Stack.of(functions), "functions read what services send")
    cluster = _cluster(services, foundation)
    tracker = Tracker(services, "Tracker", on=foundation, cluster=cluster)
    workers = Workers(services, "Workers", on=foundation, cluster=cluster)
    _tell(
        services,
        LoadBalancerDNS=tracker.entrance.host,
        Endpoint=tracker.entrance.url,
        AdminTokenSecret=tracker.admin_token.secret_arn,
    )
    Monitoring(
        _stack(app, chosen, "monitoring"),
        "Monitoring",
        on=foundation,
        functions=functions,
        tracker=tracker,
        workers=workers,
    )


def lay_foundation(app: App, chosen: Deployment) -> Foundation:
    """Adds the stacks that hold no code."""
    config, log_days = Config(), chosen.monitoring.log_days
    network = Network(_stack(app, chosen, "network"), "Network", profile=chosen.network, log_days=log_days)
    data = _stack(app, chosen, "data")
    storage = Storage(data, "Storage", config=config, profile=chosen.storage)
    streams = Streams(
        data,
        "Streams",
        events=chosen.event_stream,
        updates=chosen.update_stream,
        touches=chosen.touch_stream,
        removal_policy=removal_policy(chosen.storage),
    )
    _tell(
        data,
        EventStream=streams.events.stream_name,
        UpdateStream=streams.updates.stream_name,
        EventsTable=storage.events.table_name,
        TotalsTable=storage.totals.table_name,
        ProgramsTable=storage.programs.table_name,
        LeasesTable=storage.leases.table_name,
        FailedEventsBucket=storage.failed_events.bucket_name,
    )
    cache = Cache(
        _stack(app, chosen, "cache"), "Cache", network=network, profile=chosen.cache, log_days=log_days
    )
    return Foundation(
        deployment=chosen,
        config=config,
        network=network,
        storage=storage,
        streams=streams,
        cache=cache,
    )


def _cluster(stack: Stack, on: Foundation) -> ecs.Cluster:
    watched = on.deployment.monitoring.container_insights
    cluster = ecs.Cluster(
        stack,
        "Cluster",
        vpc=on.network.vpc,
        enable_fargate_capacity_providers=True,
        container_insights_v2=ecs.ContainerInsights.ENABLED if watched else ecs.ContainerInsights.DISABLED,
    )
    if not watched:
        accept(cluster, "AwsSolutions-ECS4", "The alarms look at what ECS measures for nothing.")
    return cluster


def _stack(app: App, chosen: Deployment, name: str) -> Stack:
    """A stack in the deployment's region, in whichever account it is deployed with."""
    stack = Stack(
        app,
        f"{chosen.name}-{name}",
        env=Environment(region=chosen.region),
        description=f"Reactive Tracker: {name}",
        termination_protection=chosen.storage.retain and name == "data",
    )
    Tags.of(stack).add("system", chosen.name)
    return stack


def _tell(stack: Stack, **outputs: str) -> None:
    """What a person or a script needs to know of a deployment."""
    for name, value in outputs.items():
        CfnOutput(stack, name, value=value)
