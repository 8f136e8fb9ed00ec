"""Logs: a line for people, or a JSON object a line for machines.

A line that is about one event says which: `log.debug("stored", extra=about(event.message_id,
event.traceparent))`. Nothing else of an event belongs into a log: it may be about a person.
"""

import logging
import time
from collections.abc import Iterator
from typing import Literal
from uuid import UUID

import msgspec

from schemas.traces import trace_id

LogFormat = Literal["text", "json"]

FACTS = ("message_id", "trace_id")
"""What a line may have beside its message."""


def about(message_id: UUID | None, traceparent: str | None) -> dict[str, str]:
    """What names an event or a request, as a log call's `extra`."""
    named = {} if message_id is None else {"message_id": str(message_id)}
    return named if traceparent is None else named | {"trace_id": trace_id(traceparent)}


class TextFormatter(logging.Formatter):
    """When, how bad, who, what; and which event, where the line is about one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        return " ".join([super().formatMessage(record), *(f"{name}={text}" for name, text in _facts(record))])


class JsonFormatter(logging.Formatter):
    """One object, on one line whatever is in the message."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _moment(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line | dict(_facts(record))).decode()


def formatter(log_format: LogFormat) -> logging.Formatter:
    return JsonFormatter() if log_format == "json" else TextFormatter()


def log_to_stderr(level: str, log_format: LogFormat) -> None:
    """Has every line of this process that is at least so bad go to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(log_format))
    logging.basicConfig(level=level, handlers=[handler])


def use_format(log_format: LogFormat) -> None:
    """Has lines go where they go in this form, where something else has set up logging: Lambda's runtime, or
    the host of a function."""
    for handler in logging.getLogger().handlers if log_format == "json" else ():
        handler.setFormatter(formatter(log_format))


def _facts(record: logging.LogRecord) -> Iterator[tuple[str, str]]:
    for name in FACTS:
        if (text := getattr(record, name, None)) is not None:
            yield name, text


def _moment(created_s: float) -> str:
    """In UTC, to the millisecond (RFC 3339)."""
    second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(created_s))
    return f"{second}.{int(created_s * 1000) % 1000:03}Z"
