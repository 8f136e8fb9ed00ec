"""`python -m tracker`: one tracker task, until SIGTERM."""

import asyncio
import logging
import os
import signal
import sys
from functools import partial

from schemas.errors import SettingsError
from schemas.logs import log_to_stderr
from schemas.settings import load
from tracker.app import Application, create_app
from tracker.connections import Connection
from tracker.memory import settle
from tracker.settings import TrackerSettings

BACKLOG = 2_048
"""Connections that the kernel may hold for a moment when the loop is busy."""


def main() -> int:
    """Exits 0 after a drain, 2 where the environment is not complete."""
    try:
        settings = load(TrackerSettings, os.environ)
    except SettingsError as error:
        print(f"tracker: {error}", file=sys.stderr)
        return 2
    log_to_stderr(settings.log_level, settings.log_format)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    app = create_app(settings)
    app.before_server_start(_settle)
    app.after_server_start(_heed_signals)
    app.run(
        settings.host,
        settings.port,
        single_process=True,
        motd=False,
        access_log=False,
        backlog=BACKLOG,
        protocol=Connection,
    )
    return 0


async def _settle(_: object) -> None:
    settle()


async def _heed_signals(app: Application) -> None:
    """One turn of the loop later than Sanic does: a stop in the very turn that ends the start would be
    taken for that end, and the task would serve on."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, loop.call_soon, partial(app.stop, terminate=False))


if __name__ == "__main__":
    sys.exit(main())
