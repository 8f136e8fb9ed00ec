"""Makes the tables, streams and bucket of a configuration on an AWS endpoint."""

from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError

from cdk.config import Config, Index, Stream, Table
from schemas.dynamodb import KeySchema

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
"""Any will do: the stand-in checks none."""
KEY_TYPES = ("HASH", "RANGE")
ALREADY_THERE = {"ResourceInUseException", "BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


def aws_client(service: str, *, endpoint_url: str, region: str) -> Any:
    """A low-level client that takes nothing from the user's AWS configuration or proxies."""
    return boto3.client(
        service,
        endpoint_url=endpoint_url,
        region_name=region,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        config=ClientConfig(proxies={}, read_timeout=30, retries={"max_attempts": 3}),
    )


def create_resources(config: Config, *, endpoint_url: str) -> None:
    """Creates what is missing; what is there already stays as it is. Blocks until all can be used."""
    clients = {
        service: aws_client(service, endpoint_url=endpoint_url, region=config.region)
        for service in ("dynamodb", "kinesis", "s3")
    }
    try:
        for table in config.tables:
            _create_table(clients["dynamodb"], table)
        for stream in config.streams:
            _create_stream(clients["kinesis"], stream)
        _unless_there(clients["s3"].create_bucket, Bucket=config.failed_events_bucket)
    finally:
        for client in clients.values():
            client.close()


def _create_table(dynamodb: Any, table: Table) -> None:
    keys = dict.fromkeys([*table.key, *(table.index.key if table.index else ())])
    _unless_there(
        dynamodb.create_table,
        TableName=table.name,
        KeySchema=_key_schema(table.key),
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys if key],
        BillingMode="PAY_PER_REQUEST",
        **({"GlobalSecondaryIndexes": [_index(table.index)]} if table.index else {}),
    )
    _wait(dynamodb, "table_exists", TableName=table.name)
    if table.expires_at is not None:
        _expire(dynamodb, table.name, table.expires_at)


def _index(index: Index) -> dict[str, object]:
    return {
        "IndexName": index.name,
        "KeySchema": _key_schema(index.key),
        "Projection": {"ProjectionType": "ALL"},
    }


def _key_schema(key: KeySchema) -> list[dict[str, str]]:
    named = zip(key, KEY_TYPES, strict=True)
    return [{"AttributeName": name, "KeyType": kind} for name, kind in named if name is not None]


def _expire(dynamodb: Any, table: str, attribute: str) -> None:
    """Turns time to live on, once: DynamoDB refuses to turn on what is on."""
    held = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    if held.get("AttributeName") != attribute:
        dynamodb.update_time_to_live(
            TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": attribute}
        )


def _create_stream(kinesis: Any, stream: Stream) -> None:
    _unless_there(kinesis.create_stream, StreamName=stream.name, ShardCount=stream.shards)
    _wait(kinesis, "stream_exists", StreamName=stream.name)


def _wait(client: Any, condition: str, **arguments: str) -> None:
    client.get_waiter(condition).wait(**arguments, WaiterConfig={"Delay": 1, "MaxAttempts": 30})


def _unless_there(create: Callable[..., object], **arguments: object) -> None:
    try:
        create(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ALREADY_THERE:
            raise
