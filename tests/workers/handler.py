"""The handler that the command line's tests host: prints what it gets, and takes its time."""

import json
import os
import time
from base64 import b64decode
from typing import Any


def handler(event: dict[str, Any], context: object) -> None:
    data = [b64decode(record["kinesis"]["data"]).decode() for record in event["Records"]]
    print(json.dumps({"begun": data}), flush=True)
    time.sleep(float(os.environ.get("HANDLER_HOLDS_S", "0")))
    print(json.dumps({"ended": data}), flush=True)
