"""The Sanic application: routes, errors, limits, and the life of its services."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from typing import Any

from sanic import Request, Sanic
from sanic.exceptions import SanicException
from sanic.response import HTTPResponse
from sanic_routing.exceptions import NoMethod, NotFound

from schemas.errors import (
    ExpectationError,
    MalformedError,
    MethodNotAllowedError,
    NotFoundError,
    RequestError,
    RequestTimeoutError,
    TooLargeError,
    TrackerError,
    UnavailableError,
)
from schemas.logs import about
from schemas.traces import read_traceparent
from tracker.answers import plain_problem, problem
from tracker.connections import StrictRequest
from tracker.fast_lane import FastLane
from tracker.metrics import TaskMetrics
from tracker.routes.beacon import beacon
from tracker.routes.cache import cache
from tracker.routes.click import click
from tracker.routes.document import document
from tracker.routes.events import events
from tracker.routes.health import health
from tracker.routes.live import live
from tracker.routes.metrics import count_answer, metrics
from tracker.routes.pixel import pixel
from tracker.routes.postback import postback
from tracker.routes.programs import programs
from tracker.routes.script import script
from tracker.routes.stored import stored
from tracker.services import Services, open_services
from tracker.settings import TrackerSettings
from workers.runtime.reports import reporting

Application = Sanic[Any, Any]
OpenServices = Callable[[TrackerSettings], AbstractAsyncContextManager[Services]]

_REASONS = {
    error.status: error.reason
    for error in (
        MalformedError,
        NotFoundError,
        MethodNotAllowedError,
        RequestTimeoutError,
        TooLargeError,
        ExpectationError,
        UnavailableError,
    )
}
"""Of what Sanic refuses by itself."""

log = logging.getLogger(__name__)


def create_app(settings: TrackerSettings, *, open_services: OpenServices = open_services) -> Application:
    """A tracker that is not started yet. Services open before it listens and close after it has
    answered what was in flight: Sanic cancels its own tasks first, so none of ours are Sanic's.
    """
    app = Sanic("tracker", configure_logging=False, request_class=StrictRequest)
    app.config.update(_limits(settings))
    app.ctx.draining = False
    app.ctx.answers = Counter()
    ways_in = (events, beacon, pixel, script, click, postback)
    for blueprint in (*ways_in, programs, stored, cache, health, live, document, metrics):
        app.blueprint(blueprint)
    app.error_handler.add(TrackerError, _on_tracker_error)
    app.error_handler.add(SanicException, _on_sanic_error)
    app.error_handler.add(Exception, _on_bug)
    app.register_middleware(count_answer, "response")
    _bind(app, settings, open_services)
    return app


def _limits(settings: TrackerSettings) -> dict[str, object]:
    return {
        "AUTO_EXTEND": False,
        "REQUEST_MAX_SIZE": settings.request_max_bytes,
        "REQUEST_MAX_HEADER_SIZE": settings.header_max_bytes,
        "REQUEST_TIMEOUT": settings.request_timeout_ms / 1000,
        "RESPONSE_TIMEOUT": _longest_request_ms(settings) / 1000,
        "KEEP_ALIVE_TIMEOUT": settings.keep_alive_timeout_ms / 1000,
        "GRACEFUL_SHUTDOWN_TIMEOUT": settings.ack_timeout_ms / 1000,
    }


def _longest_request_ms(settings: TrackerSettings) -> int:
    """More than any route takes with every dependency at its slowest."""
    waits_ms = settings.ack_timeout_ms + settings.apply_timeout_ms + 4 * settings.core_data_timeout_ms
    return settings.request_timeout_ms + waits_ms


def _bind(app: Application, settings: TrackerSettings, open_services: OpenServices) -> None:
    stack = AsyncExitStack()

    @app.before_server_start
    async def start(app: Application) -> None:
        app.ctx.services = await stack.enter_async_context(open_services(settings))
        app.ctx.metrics = TaskMetrics(app.ctx.services, app.ctx.answers)
        app.ctx.fast_lane = FastLane(app.ctx.services, app.ctx.answers, is_draining=lambda: app.ctx.draining)
        await stack.enter_async_context(reporting(app.ctx.metrics.readings, settings, service="tracker"))

    @app.before_server_stop
    async def drain(app: Application) -> None:
        app.ctx.draining = True
        app.ctx.services.live.close()
        await asyncio.sleep(settings.drain_delay_ms / 1000)

    @app.after_server_stop
    async def stop(app: Application) -> None:
        await stack.aclose()


def _on_tracker_error(request: Request, error: TrackerError) -> HTTPResponse:
    return problem(request, error)


def _on_sanic_error(request: Request, error: SanicException) -> HTTPResponse:
    status = error.status_code
    other = RequestError if status < 500 else TrackerError
    reason = _REASONS.get(status, other.reason)
    headers = {"allow": ", ".join(_allowed_methods(request))} if status == 405 else {}
    return plain_problem(request, status=status, reason=reason, detail=str(error), headers=headers)


def _allowed_methods(request: Request) -> Iterator[str]:
    """What RFC 9110 wants to be told with a 405; sanic-routing 23.12 forgets it on the way."""
    for method in ("GET", "POST", "PUT", "DELETE"):
        with suppress(NotFound, NoMethod):
            request.app.router.resolve(path=request.path, method=method)
            yield method


def _on_bug(request: Request, error: Exception) -> HTTPResponse:
    trace = about(None, read_traceparent(request.headers.get("traceparent")))
    log.error("%s %s failed", request.method, request.path, exc_info=error, extra=trace)
    return problem(request, TrackerError("this is our fault; it has been logged"))
