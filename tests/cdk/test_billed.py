"""The model of the bill is held against the templates: every type of resource, and how many there are."""

import pkgutil
from importlib import import_module

import pytest

from cdk.billed import BILLED, FREE
from cdk.cost import INTERFACE_ENDPOINTS, SECRETS, bill
from cdk.profiles import PROFILES, Deployment, deployment
from cdk.traffic import READING_AGENTS, Traffic
from cdk.watching import FILTER_METRICS, TRACKING_POLICIES, alarm_metrics
from tests.cdk.conftest import Synthesis
from tests.cdk.templates import Assembly, Properties
from workers import agents
from workers.agents.app import events
from workers.runtime.agents import Agent

EVERYTHING = {
    "profile": "standard",
    "network.egress": "nat",
    "persist.enhancedFanOut": "true",
    "tracker.requestsPerAddress5Minutes": "100000",
    "tracker.certificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/a",
    "monitoring.email": "team@example.com",
    "monitoring.budgetUsdMonth": "500",
}
"""What is off in every profile."""


@pytest.fixture(params=[*PROFILES, "everything"])
def deployed(
    request: pytest.FixtureRequest, assemblies: dict[str, Assembly], synthesise: Synthesis
) -> tuple[Deployment, Assembly]:
    """A deployment, and its templates."""
    if request.param in PROFILES:
        return PROFILES[request.param], assemblies[request.param]
    return deployment(EVERYTHING), synthesise(EVERYTHING)


Deployed = tuple[Deployment, Assembly]


def kinds(assembly: Assembly) -> set[str]:
    return {
        each["Type"] for template in assembly.templates.values() for each in template["Resources"].values()
    }


def traffic(chosen: Deployment) -> Traffic:
    return Traffic(deployment=chosen, requests_s=1_000)


def count(assembly: Assembly, kind: str) -> int:
    return len(assembly.all(kind))


def test_every_type_of_resource_has_a_line_or_a_reason_why_not(deployed: Deployed) -> None:
    _, assembly = deployed

    assert kinds(assembly) - BILLED.keys() - FREE.keys() == set()
    assert BILLED.keys() & FREE.keys() == set()


def test_every_type_that_is_paid_for_is_on_the_bill(deployed: Deployed) -> None:
    chosen, assembly = deployed
    lines = [line.what for line in bill(traffic(chosen))]
    needed = {part for kind in BILLED.keys() & kinds(assembly) for part in BILLED[kind]}

    assert {part for part in needed if not any(part in line for line in lines)} == set()


def test_what_is_not_in_the_templates_is_not_on_the_bill(deployed: Deployed) -> None:
    chosen, assembly = deployed
    lines = [line.what for line in bill(traffic(chosen))]
    absent = {part for kind in BILLED.keys() - kinds(assembly) for part in BILLED[kind]}

    assert [line for line in lines if any(part in line for part in absent)] == []


def test_no_entry_is_of_a_type_that_no_template_has(
    assemblies: dict[str, Assembly], synthesise: Synthesis
) -> None:
    made = (*assemblies.values(), synthesise(EVERYTHING))

    assert BILLED.keys() | FREE.keys() == {kind for each in made for kind in kinds(each)}


def looked_at(alarm: Properties) -> int:
    """Metrics that an alarm is paid for by."""
    return sum("MetricStat" in each for each in alarm["Metrics"]) if "Metrics" in alarm else 1


def test_alarms_are_as_many_as_are_paid_for(deployed: Deployed) -> None:
    chosen, assembly = deployed
    policies = [each["PolicyType"] for each in assembly.all("AWS::ApplicationAutoScaling::ScalingPolicy")]
    made = sum(map(looked_at, assembly.all("AWS::CloudWatch::Alarm")))

    assert policies.count("TargetTrackingScaling") == TRACKING_POLICIES
    assert alarm_metrics(traffic(chosen)) == made + 2 * TRACKING_POLICIES


def test_what_is_paid_by_the_hour_is_as_many_as_in_the_templates(deployed: Deployed) -> None:
    chosen, assembly = deployed
    interfaces = [
        each for each in assembly.all("AWS::EC2::VPCEndpoint") if each["VpcEndpointType"] == "Interface"
    ]
    shards = [each["ShardCount"] for each in assembly.all("AWS::Kinesis::Stream")]
    streams = (chosen.event_stream, chosen.update_stream, chosen.touch_stream)

    assert count(assembly, "AWS::SecretsManager::Secret") == SECRETS
    assert len(interfaces) == (INTERFACE_ENDPOINTS if chosen.network.egress == "endpoints" else 0)
    assert all(len(each["SubnetIds"]) == chosen.network.zones for each in interfaces)
    assert count(assembly, "AWS::Logs::MetricFilter") == FILTER_METRICS
    assert sorted(shards) == sorted(stream.shards for stream in streams)
    assert count(assembly, "AWS::CloudWatch::Dashboard") == 1


def test_each_agent_that_reads_the_event_stream_is_paid_for() -> None:
    modules = [f"{agents.__name__}.{module.name}" for module in pkgutil.iter_modules(agents.__path__)]
    named = [value for module in modules for value in vars(import_module(module)).values()]

    assert len({each for each in named if isinstance(each, Agent) and each.topic is events}) == READING_AGENTS
