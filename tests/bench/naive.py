"""`python -m tests.bench.naive PORT`: tracking as most people write it, a put for each event.

It knows one program by heart, keeps no connection to anything but Kinesis, and makes no frames.
"""

import json
import sys
import time
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import sanic.response
from aiobotocore.session import get_session
from sanic import Request, Sanic
from sanic.response import HTTPResponse

from tests.bench.bare import event_answer

STREAM = "events"


def naive() -> Sanic[Any, Any]:
    app = Sanic("naive", configure_logging=False)
    stack = AsyncExitStack()

    @app.before_server_start
    async def connect(app: Sanic[Any, Any]) -> None:
        app.ctx.kinesis = await stack.enter_async_context(get_session().create_client("kinesis"))

    @app.after_server_stop
    async def disconnect(app: Sanic[Any, Any]) -> None:
        await stack.aclose()

    @app.get("/event/<program_id>")
    async def event(request: Request, program_id: str) -> HTTPResponse:
        answer = event_answer(request, program_id, str(uuid4()))
        data = json.dumps(answer | {"kind": "view", "receivedAtMs": time.time_ns() // 1_000_000})
        await request.app.ctx.kinesis.put_record(
            StreamName=STREAM, Data=data.encode(), PartitionKey=answer["messageId"]
        )
        return sanic.response.json(answer)

    return app


if __name__ == "__main__":
    naive().run("127.0.0.1", int(sys.argv[1]), single_process=True, motd=False, access_log=False)
