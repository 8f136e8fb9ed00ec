"""HTTP connections: stricter than Sanic where RFC 9112 is, and with an end to slow clients.

A proxy and a server that read one request differently let a client smuggle a second one in
(RFC 9112, 11.2). So what is ambiguous is refused, and its connection closed.
"""

import asyncio
import re
import time
from contextlib import suppress
from typing import Any

from sanic import Request
from sanic.exceptions import BadRequest, RequestTimeout
from sanic.http import Http, Stage
from sanic.server import HttpProtocol

LINGER_S = 1.0

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEAD = re.compile(
    _TOKEN + rb" [!-~]+ HTTP/1\.[01](?:\r\n" + _TOKEN + rb":[\t -~\x80-\xff]*)*",
)
_DIGITS = {10: re.compile(r"[0-9]{1,19}"), 16: re.compile(r"[0-9A-Fa-f]{1,16}")}


class StrictRequest(Request):
    """A request whose head is as RFC 9112 has it: no control characters, no space before a colon,
    no folded lines, one Host. Raises BadRequest."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.head:  # Sanic's own stand-in for a request that it could not read
            return
        if not _HEAD.fullmatch(self.head):
            raise BadRequest("the request's head is not as HTTP/1.1 has it")
        hosts = len(self.headers.getall("host", ()))
        if hosts > 1 or (hosts == 0 and self.version == "1.1"):
            raise BadRequest("a request has one Host header")


class StrictHttp(Http):
    """Takes digits for a length and nothing else that Python takes for a number, answers where Sanic
    would fail a second time on the URL that it could not read, and lets who still sends read why not."""

    async def http1(self) -> None:
        await super().http1()  # type: ignore[no-untyped-call]
        if self.request_body and self.protocol.transport:
            await self._linger(self.protocol.transport)

    async def _linger(self, transport: asyncio.Transport) -> None:
        """To close on a client that still sends resets its connection, and with that the answer may be
        lost on its way (RFC 9112, 9.6)."""
        transport.write_eof()
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while True:
                    self.recv_buffer.clear()
                    await self._receive_more()

    def create_empty_request(self) -> None:
        self.url = None
        super().create_empty_request()

    @staticmethod
    def _safe_int(value: str, base: int = 10) -> int:
        digits = value.strip(" \t")
        if not _DIGITS[base].fullmatch(digits):
            raise ValueError(f"{value!r} is no length")
        return int(digits, base)


class Connection(HttpProtocol):
    """A connection on which a request is complete `request_timeout` after its first byte, however
    its bytes trickle in: Sanic counts from the last one."""

    HTTP_CLASS = StrictHttp
    __slots__ = ("_answers_fast", "_held")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._answers_fast = False
        """Whether the fast lane has still to answer; `_held` is what came meanwhile."""
        self._held = b""

    @property
    def peer(self) -> str:
        """The address that the connection comes from."""
        return str(self.conn_info.client_ip) if self.conn_info else ""

    def data_received(self, data: bytes) -> None:
        if self._answers_fast:
            self._held += data
            if self.transport is not None:
                self.transport.pause_reading()
        elif not self._is_free() or not self._goes_fast(data):
            self._go_slowly(data)

    def answer(self, data: bytes) -> None:
        """The fast lane's answer; then comes what was held back."""
        self._answers_fast = False
        self._time = time.monotonic()
        if self.conn_info is None or self.conn_info.lost or self.transport is None:
            return
        self.transport.write(data)
        if self.app.ctx.draining:
            self.close()
        elif self._held:
            held, self._held = self._held, b""
            self.transport.resume_reading()
            self.data_received(held)

    def close_if_idle(self) -> bool:
        return False if self._answers_fast else super().close_if_idle()

    def _goes_fast(self, data: bytes) -> bool:
        self._answers_fast = True
        taken = self.app.ctx.fast_lane.take(data, self)
        self._answers_fast = self._answers_fast and taken
        return bool(taken)

    def _is_free(self) -> bool:
        """Whether Sanic is done with all that came."""
        return self._stage() is Stage.IDLE and not self.recv_buffer and self._can_write.is_set()

    def _go_slowly(self, data: bytes) -> None:
        began_s = self._time
        super().data_received(data)
        if self._stage() is not Stage.IDLE or self._is_taking_body():
            self._time = began_s

    def check_timeouts(self) -> None:
        if self._answers_fast:
            self._time = time.monotonic()
        waited_s = time.monotonic() - self._time
        if self._task and waited_s > self.request_timeout and self._is_taking_body():
            self.http.exception = RequestTimeout("the request did not arrive in time")
            self.http.request_body = None  # or Sanic would wait for the rest of it, for ever
            self._task.cancel()
        else:
            super().check_timeouts()  # type: ignore[no-untyped-call]

    def _stage(self) -> Stage:
        return Stage.IDLE if self.http is None else self.http.stage

    def _is_taking_body(self) -> bool:
        """Also where it was answered before it was read: then Sanic reads it to pass it over."""
        stages = (Stage.HANDLER, Stage.IDLE)
        return self._stage() in stages and bool(getattr(self.http, "request_body", None))
