"""The streams: events, changes of core data, and touches, which the workers match."""

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_kinesis as kinesis
from constructs import Construct

from cdk import profiles

READ_ACTIONS = (
    "kinesis:DescribeStream",
    "kinesis:DescribeStreamSummary",
    "kinesis:GetRecords",
    "kinesis:GetShardIterator",
    "kinesis:ListShards",
)
"""Of an event source mapping (AWS Lambda Developer Guide, "Process Amazon Kinesis Data Streams records with
Lambda")."""
CONSUMER_ACTIONS = ("kinesis:DescribeStreamConsumer", "kinesis:SubscribeToShard")
"""On its consumer, where it reads by enhanced fan-out."""


class Streams(Construct):
    """The streams, encrypted. What is in them is data like a table's until it was applied."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        events: profiles.Stream,
        updates: profiles.Stream,
        touches: profiles.Stream,
        removal_policy: RemovalPolicy,
    ) -> None:
        super().__init__(scope, id)
        self._removal_policy = removal_policy
        self.events = self._stream("Events", events)
        self.updates = self._stream("Updates", updates)
        self.touches = self._stream("Touches", touches)

    def _stream(self, id: str, profile: profiles.Stream) -> kinesis.Stream:
        on_demand = profile.mode == "onDemand"
        return kinesis.Stream(
            self,
            id,
            stream_mode=kinesis.StreamMode.ON_DEMAND if on_demand else kinesis.StreamMode.PROVISIONED,
            shard_count=None if on_demand else profile.shards,
            retention_period=Duration.hours(profile.retention_hours),
            encryption=kinesis.StreamEncryption.MANAGED,
            removal_policy=self._removal_policy,
        )
