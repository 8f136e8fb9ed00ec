"""Lines of the log, for people and for machines."""

import logging
import sys
from uuid import UUID

import msgspec

from schemas.logs import JsonFormatter, TextFormatter, about, use_format

MESSAGE_ID = UUID("01999999-0000-7000-8000-000000000001")
TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def record(message: str, *, extra: dict[str, str] | None = None, error: bool = False) -> logging.LogRecord:
    failing = sys.exc_info() if error else None
    made = logging.getLogger("tracker.app").makeRecord(
        "tracker.app", logging.WARNING, __file__, 1, message, (), failing, extra=extra
    )
    made.created = 1_760_000_000.123
    return made


def test_a_line_for_machines_is_one_object_whatever_is_in_it() -> None:
    line = JsonFormatter().format(record('two\nlines "quoted"', extra=about(MESSAGE_ID, TRACEPARENT)))

    assert "\n" not in line
    assert msgspec.json.decode(line) == {
        "time": "2025-10-09T08:53:20.123Z",
        "level": "WARNING",
        "logger": "tracker.app",
        "message": 'two\nlines "quoted"',
        "message_id": str(MESSAGE_ID),
        "trace_id": TRACE,
    }


def test_an_error_is_in_its_line() -> None:
    try:
        raise ValueError("wrong")
    except ValueError:
        line = JsonFormatter().format(record("failed", error=True))

    assert msgspec.json.decode(line)["error"].endswith("ValueError: wrong")


def test_a_line_for_people_says_which_event_it_is_about() -> None:
    line = TextFormatter().format(record("stored", extra=about(MESSAGE_ID, None)))

    assert line.endswith(f"WARNING tracker.app: stored message_id={MESSAGE_ID}")
    assert TextFormatter().format(record("stored")).endswith("tracker.app: stored")


def test_lines_that_something_else_has_set_up_take_the_form_too() -> None:
    root = logging.getLogger()
    before = {handler: handler.formatter for handler in root.handlers}
    try:
        use_format("text")
        untouched = {handler: handler.formatter for handler in root.handlers}
        use_format("json")
        changed = [handler.formatter for handler in root.handlers]
    finally:
        for handler, formatter in before.items():
            handler.setFormatter(formatter)

    assert untouched == before
    assert changed and all(isinstance(each, JsonFormatter) for each in changed)
