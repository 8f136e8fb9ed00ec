"""What is watched: a dashboard, alarms that go to one topic, and what it all may cost."""

from collections.abc import Iterator

from aws_cdk import Duration
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from cdk import profiles
from cdk.alarms import (
    Alarm,
    function_alarms,
    redis_alarms,
    request_alarms,
    storage_alarms,
    stream_alarms,
    task_alarms,
    tracker_alarms,
)
from cdk.balancer import Balancer
from cdk.foundation import Foundation
from cdk.functions import Functions
from cdk.metrics import MINUTE, OwnMetrics
from cdk.streams import Streams
from cdk.tracker import Tracker
from cdk.workers import Workers

BUDGET_PERCENT = 80
WIDGETS_PER_ROW = 3
WIDTH = 24 // WIDGETS_PER_ROW
"""A dashboard has 24 columns."""


class Monitoring(Construct):
    """Every alarm goes to one topic, says what it means, and is drawn on the dashboard with its threshold."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        on: Foundation,
        functions: Functions,
        tracker: Tracker,
        workers: Workers,
    ) -> None:
        super().__init__(scope, id)
        profile = on.deployment.monitoring
        self.topic = sns.Topic(self, "Alarms", enforce_ssl=True)
        if profile.email:
            self.topic.add_subscription(subscriptions.EmailSubscription(profile.email))
        self.dashboard = cloudwatch.Dashboard(self, "Dashboard", default_interval=Duration.hours(3))
        own = OwnMetrics(on.deployment)
        self._row(list(_traffic(tracker.entrance, on.streams)))
        self._row(list(own.graphs(WIDTH)))
        for alarms in (
            request_alarms(tracker.entrance, profile),
            tracker_alarms(tracker.fargate, own),
            function_alarms("Persist", functions.persist, profile),
            function_alarms("Refresh", functions.refresh, profile),
            stream_alarms("Event", on.streams.events, profile),
            stream_alarms("Update", on.streams.updates, profile),
            stream_alarms("Touch", on.streams.touches, profile),
            storage_alarms(on.storage),
            redis_alarms(on.cache),
            task_alarms("Tracker", tracker.fargate),
            task_alarms("Worker", workers.fargate),
        ):
            self._row([self._ring(alarm) for alarm in alarms])
        if profile.budget_usd_month:
            self._budget(on.deployment)

    def _ring(self, alarm: Alarm) -> cloudwatch.IWidget:
        made = cloudwatch.Alarm(
            self,
            alarm.name,
            metric=alarm.metric,
            threshold=alarm.threshold,
            evaluation_periods=alarm.minutes,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING
            if alarm.missing_rings
            else cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=alarm.meaning,
        )
        made.add_alarm_action(actions.SnsAction(self.topic))
        made.add_ok_action(actions.SnsAction(self.topic))
        return cloudwatch.GraphWidget(
            title=alarm.name,
            left=[alarm.metric],
            left_annotations=[made.to_annotation()],
            width=WIDTH,
        )

    def _row(self, widgets: list[cloudwatch.IWidget]) -> None:
        for first in range(0, len(widgets), WIDGETS_PER_ROW):
            self.dashboard.add_widgets(*widgets[first : first + WIDGETS_PER_ROW])

    def _budget(self, deployment: profiles.Deployment) -> None:
        hears = budgets.CfnBudget.SubscriberProperty(
            subscription_type="EMAIL", address=deployment.monitoring.email
        )
        budgets.CfnBudget(
            self,
            "Budget",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(
                    amount=deployment.monitoring.budget_usd_month, unit="USD"
                ),
                cost_filters={"TagKeyValue": [f"user:system${deployment.name}"]},
            ),
            notifications_with_subscribers=[
                budgets.CfnBudget.NotificationWithSubscribersProperty(
                    notification=budgets.CfnBudget.NotificationProperty(
                        comparison_operator="GREATER_THAN",
                        notification_type=kind,
                        threshold=percent,
                        threshold_type="PERCENTAGE",
                    ),
                    subscribers=[hears],
                )
                for kind, percent in (("ACTUAL", BUDGET_PERCENT), ("FORECASTED", 100))
            ],
        )


def _traffic(entrance: Balancer, streams: Streams) -> Iterator[cloudwatch.IWidget]:
    requests = entrance.balancer.metrics.request_count(period=MINUTE)
    yield cloudwatch.GraphWidget(title="Requests", left=[requests], width=WIDTH)
    yield cloudwatch.GraphWidget(
        title="Latency",
        left=[
            entrance.targets.metrics.target_response_time(statistic=statistic, period=MINUTE)
            for statistic in ("p50", "p95", "p99")
        ],
        width=WIDTH,
    )
    yield cloudwatch.GraphWidget(
        title="Streams",
        left=[stream.metric_incoming_bytes(period=MINUTE) for stream in (streams.events, streams.updates)],
        right=[stream.metric_incoming_records(period=MINUTE) for stream in (streams.events, streams.updates)],
        width=WIDTH,
    )
