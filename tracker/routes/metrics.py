"""`/metrics`: this task's state, for Prometheus."""

from sanic import Blueprint, Request
from sanic.response import BaseHTTPResponse, HTTPResponse

from schemas.exposition import CONTENT_TYPE
from tracker.metrics import Answered, TaskMetrics

metrics = Blueprint("metrics")


@metrics.get("/metrics")
async def get_metrics(request: Request) -> HTTPResponse:
    task: TaskMetrics = request.app.ctx.metrics
    return HTTPResponse(task.text(), headers={"cache-control": "no-store"}, content_type=CONTENT_TYPE)


def count_answer(request: Request, response: BaseHTTPResponse) -> None:
    """Middleware: counts each answer by its route and status."""
    route = request.route
    method, path = (request.method, route.path) if route else ("", "")
    request.app.ctx.answers[Answered(method, path, response.status)] += 1
