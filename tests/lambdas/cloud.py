"""What the Lambdas read and change on AWS, as one set of resources per test."""

from base64 import b64encode
from typing import Any, NamedTuple
from uuid import uuid4

from lambdas.calls import aws_client
from lambdas.persist import Persist
from lambdas.settings import PersistSettings, RefreshSettings
from schemas.dynamodb import EVENTS_KEY, PROGRAMS_KEY, TOTALS_KEY, Item, KeySchema, program_key, sum_of_lanes
from schemas.events import Event, encode_event
from schemas.failures import FailedRecord, decode_failed
from schemas.frames import encode_frame
from schemas.programs import Totals
from schemas.settings import to_environment
from schemas.updates import Update, decode_update
from tests.factories import NOW_MS
from tests.lambdas.memory import Steps

REGION = "us-east-1"
ACCOUNT = "000000000000"
SHARD_ID = "shardId-000000000000"


class Killable:
    """A client whose calls are steps that a test can kill at."""

    def __init__(self, client: Any, steps: Steps) -> None:
        self._client = client
        self._steps = steps

    def __getattr__(self, operation: str) -> Any:
        def call(**parameters: Any) -> Any:
            with self._steps.call(operation):
                return getattr(self._client, operation)(**parameters)

        return call


class Cloud(NamedTuple):
    """Clients, and the settings of both Lambdas that name the resources."""

    dynamodb: Any
    kinesis: Any
    s3: Any
    persist: PersistSettings
    refresh: RefreshSettings
    event_stream: str

    @property
    def environment(self) -> dict[str, str]:
        return to_environment(self.persist) | to_environment(self.refresh)

    def killable(self, steps: Steps) -> Persist:
        dynamodb, kinesis, s3 = (Killable(each, steps) for each in (self.dynamodb, self.kinesis, self.s3))
        return Persist(dynamodb=dynamodb, kinesis=kinesis, s3=s3, settings=self.persist)

    def put(self, *frames: tuple[str, list[Event]]) -> None:
        """Puts one record for each partition key and its events."""
        for key, events in frames:
            self.put_data(encode_frame([encode_event(event) for event in events]), key)

    def put_data(self, data: bytes, key: str = "key-0") -> None:
        self.kinesis.put_record(StreamName=self.event_stream, Data=data, PartitionKey=key)

    def batch(self) -> dict[str, Any]:
        """Everything on the event stream, as Lambda hands it over."""
        return {
            "Records": [
                delivered(
                    self.event_stream, record["SequenceNumber"], record["Data"], key=record["PartitionKey"]
                )
                for record in self._read(self.event_stream)
            ]
        }

    def relayed(self) -> list[Update]:
        return [decode_update(record["Data"]) for record in self._read(self.persist.update_stream)]

    def items(self) -> list[Item]:
        return list(self.dynamodb.scan(TableName=self.persist.events_table)["Items"])

    def totals(self, program_id: str = "212313") -> Totals:
        lanes = self.dynamodb.scan(TableName=self.persist.totals_table)["Items"]
        return sum_of_lanes(lane for lane in lanes if lane["program_id"]["S"] == program_id)

    def program(self, program_id: str) -> Item | None:
        table = self.refresh.programs_table
        answer = self.dynamodb.get_item(TableName=table, Key=program_key(program_id), ConsistentRead=True)
        item: Item | None = answer.get("Item")
        return item

    def failed(self) -> dict[str, FailedRecord]:
        bucket = self.persist.failed_events_bucket
        keys = [each["Key"] for each in self.s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
        bodies = [self.s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys]
        return {key: decode_failed(body) for key, body in zip(keys, bodies, strict=True)}

    def close(self) -> None:
        for client in (self.dynamodb, self.kinesis, self.s3):
            client.close()

    def _read(self, stream: str) -> list[dict[str, Any]]:
        iterator = self.kinesis.get_shard_iterator(
            StreamName=stream, ShardId=SHARD_ID, ShardIteratorType="TRIM_HORIZON"
        )
        return list(self.kinesis.get_records(ShardIterator=iterator["ShardIterator"])["Records"])


def created() -> Cloud:
    """A new set, at the endpoint that the environment names."""
    some = uuid4().hex[:8]
    bucket, programs = f"failed-{some}", f"programs-{some}"
    cloud = Cloud(
        dynamodb=aws_client("dynamodb", REGION),
        kinesis=aws_client("kinesis", REGION),
        s3=aws_client("s3", REGION),
        persist=PersistSettings(
            events_table=f"events-{some}",
            totals_table=f"totals-{some}",
            update_stream=f"updates-{some}",
            failed_events_bucket=bucket,
        ),
        refresh=RefreshSettings(programs_table=programs, failed_events_bucket=bucket, redis_channel=some),
        event_stream=f"stream-{some}",
    )
    _create_table(cloud, cloud.persist.events_table, EVENTS_KEY)
    _create_table(cloud, cloud.persist.totals_table, TOTALS_KEY)
    _create_table(cloud, programs, PROGRAMS_KEY)
    for stream in (cloud.event_stream, cloud.persist.update_stream):
        cloud.kinesis.create_stream(StreamName=stream, ShardCount=1)
        cloud.kinesis.get_waiter("stream_exists").wait(StreamName=stream)
    cloud.s3.create_bucket(Bucket=bucket)
    return cloud


def _create_table(cloud: Cloud, name: str, key: KeySchema) -> None:
    names = [each for each in key if each is not None]
    cloud.dynamodb.create_table(
        TableName=name,
        KeySchema=[
            {"AttributeName": each, "KeyType": kind}
            for each, kind in zip(names, ("HASH", "RANGE"), strict=False)
        ],
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in names],
        BillingMode="PAY_PER_REQUEST",
    )


def delivered(
    stream: str, sequence_number: str, data: bytes, *, key: str = "key-0", shard_id: str = SHARD_ID
) -> dict[str, Any]:
    """One record of a batch, as Lambda hands it over."""
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": key,
            "sequenceNumber": sequence_number,
            "data": b64encode(data).decode(),
            "approximateArrivalTimestamp": NOW_MS / 1000,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard_id}:{sequence_number}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": f"arn:aws:iam::{ACCOUNT}:role/lambda-role",
        "awsRegion": REGION,
        "eventSourceARN": f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{stream}",
    }
