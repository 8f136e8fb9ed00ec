"""`python -m tests.bench.bare PORT`: Sanic routes that answer as the tracker does, and do nothing else."""

import sys
from typing import Any
from uuid import uuid4

from sanic import Request, Sanic
from sanic.response import HTTPResponse, json


def bare() -> Sanic[Any, Any]:
    app = Sanic("bare", configure_logging=False)

    @app.get("/event/<program_id>")
    async def event(request: Request, program_id: str) -> HTTPResponse:
        return json(event_answer(request, program_id, message_id))

    @app.get("/click/<program_id>")
    async def click(request: Request, program_id: str) -> HTTPResponse:
        return HTTPResponse(
            status=302, headers={"location": "https://shop.example/", "cache-control": "no-store"}
        )

    message_id = str(uuid4())
    return app


def event_answer(request: Request, program_id: str, message_id: str) -> dict[str, object]:
    """What a tracker answers, of a program that nobody looked up."""
    return {
        "userAgent": request.headers.get("user-agent"),
        "programId": program_id,
        "programName": "program2",
        "checksum": "124",
        "customerId": 9124,
        "customerName": "Customer2",
        "messageId": message_id,
        "valid": True,
    }


if __name__ == "__main__":
    bare().run("127.0.0.1", int(sys.argv[1]), single_process=True, motd=False, access_log=False)
