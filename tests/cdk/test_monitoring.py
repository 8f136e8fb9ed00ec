import asyncio
from itertools import count, repeat
from pathlib import Path

import pytest

from cdk.profiles import PROFILES
from schemas.errors import UnavailableError
from schemas.metrics import FUNCTIONS, STALENESS, TRACKER, WORKERS
from tests.cdk.conftest import Synthesis
from tests.cdk.templates import Assembly, Properties
from workers.runtime.supervisor import Supervisor

GRAFANA = Path(__file__).resolve().parents[2] / "docs/grafana/tracker.json"
EVERYTHING = (*TRACKER, *WORKERS, *FUNCTIONS)
ALARM = "AWS::CloudWatch::Alarm"
WATCHED = {
    "BufferFills",
    "EventLoopLag",
    "EventStreamIteratorAge",
    "EventStreamThrottled",
    "EventsNotConfirmed",
    "EventsTableThrottled",
    "FailedEvents",
    "LatencyP99",
    "LinkFlaps",
    "PersistErrors",
    "PersistFailuresLost",
    "PersistIteratorAge",
    "PersistThrottled",
    "ProgramsTableThrottled",
    "RedisCpu",
    "RedisMemory",
    "RefreshErrors",
    "RefreshFailuresLost",
    "RefreshIteratorAge",
    "RefreshThrottled",
    "Requests5xx",
    "StaleCoreData",
    "TotalsTableThrottled",
    "TouchStreamIteratorAge",
    "TouchStreamThrottled",
    "TrackerMemory",
    "UnhealthyTasks",
    "UpdateStreamIteratorAge",
    "UpdateStreamThrottled",
    "WorkerMemory",
}


def alarms(assembly: Assembly) -> dict[str, Properties]:
    """By name, without the hash that CDK appends."""
    return {
        name.removeprefix("monitoring/Monitoring")[:-8]: each["Properties"]
        for name, each in assembly.resources(ALARM).items()
        if name.startswith("monitoring/")
    }


def test_everything_that_can_go_wrong_has_an_alarm(assembly: Assembly) -> None:
    assert alarms(assembly).keys() == WATCHED


def test_every_alarm_says_what_it_means_and_tells_somebody(assembly: Assembly) -> None:
    for name, alarm in alarms(assembly).items():
        assert len(alarm["AlarmDescription"]) > 30, name
        assert alarm["AlarmActions"] == alarm["OKActions"], name
        assert "Alarms" in str(alarm["AlarmActions"]), name


def test_every_alarm_is_drawn_on_the_dashboard(assembly: Assembly) -> None:
    body = assembly.resolved(assembly.one("AWS::CloudWatch::Dashboard")["DashboardBody"])

    for name in WATCHED:
        assert f'"title":"{name}"' in body, name


def test_alarms_ring_where_the_profile_says(assemblies: dict[str, Assembly]) -> None:
    for name, profile in PROFILES.items():
        made = alarms(assemblies[name])

        assert made["PersistIteratorAge"]["Threshold"] == profile.monitoring.iterator_age_s * 1_000
        assert made["LatencyP99"]["Threshold"] == profile.monitoring.latency_p99_ms / 1_000


def test_every_node_of_redis_is_watched(assemblies: dict[str, Assembly]) -> None:
    for name, profile in PROFILES.items():
        metrics = alarms(assemblies[name])["RedisMemory"]["Metrics"]

        assert len([each for each in metrics if "MetricStat" in each]) == 1 + profile.cache.replicas


def test_what_is_set_aside_rings_by_the_buckets_own_metric(assembly: Assembly) -> None:
    dimensions = {each["Name"]: each["Value"] for each in alarms(assembly)["FailedEvents"]["Dimensions"]}
    bucket = assembly.one("AWS::S3::Bucket", "FailedEvents")

    assert bucket["MetricsConfigurations"] == [{"Id": dimensions["FilterId"]}]
    assert "FailedEvents" in assembly.resolved(dimensions["BucketName"])


def pattern(assembly: Assembly, name: str) -> str:
    """What a line must have in it."""
    text: str = assembly.one("AWS::Logs::MetricFilter", name)["FilterPattern"]
    return text.strip('"')


async def test_a_lost_link_is_a_line_that_the_filter_sees(
    assemblies: dict[str, Assembly], caplog: pytest.LogCaptureFixture
) -> None:
    runs, started_again = count(), asyncio.Event()

    async def link() -> None:
        if next(runs) == 0:
            raise UnavailableError("Redis is gone")
        started_again.set()

    async with Supervisor(backoff=lambda: repeat(0.0)) as supervisor:
        supervisor.start("link", link)
        await started_again.wait()

    assert pattern(assemblies["small"], "LinkFlaps") in caplog.text


def own_metrics(assembly: Assembly) -> set[str]:
    """The names of the product's own metrics on the dashboard."""
    body = assembly.resolved(assembly.one("AWS::CloudWatch::Dashboard")["DashboardBody"])
    return {metric.name for metric in EVERYTHING if metric.name in body}


def test_the_dashboard_shows_every_metric_and_grafana_all_that_are_scraped(
    assembly: Assembly,
) -> None:
    told = {metric.name for metric in (*TRACKER, *WORKERS)}

    assert own_metrics(assembly) == {metric.name for metric in EVERYTHING}
    assert {name for name in told if name in GRAFANA.read_text()} == told


def test_what_is_drawn_and_what_rings_is_what_trackers_tell(assembly: Assembly) -> None:
    namespace = environment(assembly)["METRICS_NAMESPACE"]
    body = assembly.resolved(assembly.one("AWS::CloudWatch::Dashboard")["DashboardBody"])
    (staleness,) = alarms(assembly)["StaleCoreData"]["Metrics"]
    metric = staleness["MetricStat"]["Metric"]

    assert f'"{namespace}","tracker_core_data_staleness_seconds","service","tracker"' in body
    assert (metric["Namespace"], metric["MetricName"]) == (namespace, STALENESS.name)


def environment(assembly: Assembly) -> dict[str, str]:
    """Of the trackers' container."""
    (container,) = assembly.one("AWS::ECS::TaskDefinition", "Tracker")["ContainerDefinitions"]
    return {each["Name"]: each["Value"] for each in container["Environment"]}


def test_who_is_told_and_what_it_may_cost_are_settings(synthesise: Synthesis) -> None:
    made = synthesise({"monitoring.email": "team@example.com", "monitoring.budgetUsdMonth": "500"})
    budget = made.one("AWS::Budgets::Budget")

    assert made.one("AWS::SNS::Subscription")["Endpoint"] == "team@example.com"
    assert budget["Budget"]["BudgetLimit"] == {"Amount": 500, "Unit": "USD"}
    assert [each["Notification"]["NotificationType"] for each in budget["NotificationsWithSubscribers"]] == [
        "ACTUAL",
        "FORECASTED",
    ]


def test_no_budget_unless_asked_for(assembly: Assembly) -> None:
    assert assembly.all("AWS::Budgets::Budget") == []
