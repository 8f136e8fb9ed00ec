"""What a task says of itself and of what happens: health, the live page, this description, metrics."""

from schemas.errors import DrainingError, TooManyWatchersError
from tracker.openapi import Answer, Operation
from tracker.routes.health import HealthAnswer
from tracker.routes.live import PARTS, StreamQuery

_TAGGED = {"ETag": "of this as it is now"}

TASK: tuple[Operation, ...] = (
    Operation(
        name="getHealthLive",
        method="GET",
        path="/health/live",
        summary="Whether this task lives",
        answers={200: Answer(meaning="it does", example=HealthAnswer("alive"))},
    ),
    *(
        Operation(
            name=f"getHealth{path.capitalize()}",
            method="GET",
            path=f"/health/{path}",
            summary="Whether this task takes events",
            answers={200: Answer(meaning="it does", example=HealthAnswer("ready"))},
            errors=(DrainingError,),
        )
        for path in ("ready", "check")
    ),
    Operation(
        name="getFront",
        method="GET",
        path="/",
        summary="The way to the page",
        answers={
            302: Answer(meaning="to `/live`", media_type=None, headers={"Location": "the page, always"})
        },
    ),
    Operation(
        name="getLive",
        method="GET",
        path="/live",
        summary="The page that shows what happens as it happens",
        answers={
            200: Answer(meaning="the page", media_type="text/html", headers=_TAGGED),
            304: Answer(meaning="the page that you have", media_type=None, headers=_TAGGED),
        },
    ),
    *(
        Operation(
            name=f"getLive{name.title().replace('.', '')}",
            method="GET",
            path=f"/live/{name}",
            summary="A part of the page",
            answers={
                200: Answer(
                    meaning="the part", media_type=part.content_type.partition(";")[0], headers=_TAGGED
                ),
                304: Answer(meaning="the part that you have", media_type=None, headers=_TAGGED),
            },
        )
        for name, part in PARTS.items()
    ),
    Operation(
        name="getLiveStream",
        method="GET",
        path="/live/stream",
        summary="What this task knows, and each change of it, as server-sent events: docs/live-updates.md",
        query=StreamQuery(once=True),
        answers={
            200: Answer(
                meaning="without `once`, until the client leaves or the task stops",
                example="event: snapshot",
                media_type="text/event-stream",
            )
        },
        errors=(TooManyWatchersError, DrainingError),
    ),
    Operation(
        name="getOpenapi",
        method="GET",
        path="/openapi.json",
        summary="This document",
        answers={200: Answer(meaning="OpenAPI 3.1", example={"openapi": "3.1.0"})},
    ),
    Operation(
        name="getDocs",
        method="GET",
        path="/docs",
        summary="This document as a page",
        answers={200: Answer(meaning="a page", media_type="text/html")},
    ),
    Operation(
        name="getMetrics",
        method="GET",
        path="/metrics",
        summary="This task's state, for Prometheus",
        answers={
            200: Answer(
                meaning="Prometheus text format", example="tracker_link_up 1.0", media_type="text/plain"
            )
        },
    ),
)
