"""`/health`: whether this task lives, and whether it takes events."""

import msgspec
from sanic import Blueprint, Request
from sanic.response import HTTPResponse

from schemas.errors import DrainingError, UnavailableError
from tracker.answers import answer
from tracker.services import services_of

health = Blueprint("health", url_prefix="/health")


class HealthAnswer(msgspec.Struct, frozen=True):
    status: str


@health.get("/live")
async def live(request: Request) -> HTTPResponse:
    return answer(request, HealthAnswer("alive"))


@health.get("/ready", name="ready")
@health.get("/check", name="check")
async def ready(request: Request) -> HTTPResponse:
    """200 while this task takes events; 503 while it drains, its buffer is full, or it does not
    know the event stream's shards."""
    if request.app.ctx.draining:
        raise DrainingError("this task is stopping")
    if not services_of(request).intake.accepting:
        raise UnavailableError("this task cannot take events now")
    return answer(request, HealthAnswer("ready"))
