"""`persist` as most people write it: one event a record, one PutItem each."""

import base64
import json
from decimal import Decimal
from functools import cache
from typing import Any

import boto3


@cache
def table(name: str) -> Any:
    return boto3.resource("dynamodb").Table(name)


def handler(event: dict[str, Any], context: object) -> None:
    for record in event["Records"]:
        data = base64.b64decode(record["kinesis"]["data"])
        table("events").put_item(Item=json.loads(data, parse_float=Decimal))
