"""`/metrics`: this task's state, for Prometheus."""

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from sanic import Blueprint, Request
from sanic.response import BaseHTTPResponse, HTTPResponse

from tracker.metrics import Answered

metrics = Blueprint("metrics")


@metrics.get("/metrics")
async def get_metrics(request: Request) -> HTTPResponse:
    body = generate_latest(request.app.ctx.metrics)
    return HTTPResponse(body, headers={"cache-control": "no-store"}, content_type=CONTENT_TYPE_PLAIN_0_0_4)


def count_answer(request: Request, response: BaseHTTPResponse) -> None:
    """Middleware: counts each answer by its route and status."""
    route = request.route
    method, path = (request.method, route.path) if route else ("", "")
    request.app.ctx.answers[Answered(method, path, response.status)] += 1
