"""`python -m tests.bench.bare PORT`: a Sanic route that redirects and does nothing else."""

import sys
from typing import Any

from sanic import Request, Sanic
from sanic.response import HTTPResponse


def bare() -> Sanic[Any, Any]:
    app = Sanic("bare", configure_logging=False)

    @app.get("/click/<program_id>")
    async def click(request: Request, program_id: str) -> HTTPResponse:
        return HTTPResponse(
            status=302, headers={"location": "https://shop.example/", "cache-control": "no-store"}
        )

    return app


if __name__ == "__main__":
    bare().run("127.0.0.1", int(sys.argv[1]), single_process=True, motd=False, access_log=False)
