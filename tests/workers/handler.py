"""The handler that the command line's tests host: prints what it gets, takes its time, and may fail."""

import json
import os
import time
from base64 import b64decode
from typing import Any


def handler(event: dict[str, Any], context: object) -> None:
    data = [b64decode(record["kinesis"]["data"]).decode() for record in event["Records"]]
    print(json.dumps({"begun": data}), flush=True)
    time.sleep(float(os.environ.get("HANDLER_HOLDS_S", "0")))
    if os.environ.get("HANDLER_FAILS_ON") in data:
        raise ValueError("told to fail")
    print(json.dumps({"ended": data}), flush=True)
