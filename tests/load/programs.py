"""The programs that a load is of: given ones, the sample programs, or some of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx
from httpx import codes

from cdk.local.answers import DETAIL_MAX_CHARS
from tests.load.plan import LoadError, Target

PROGRAMS_MAX = 10_000
AT_A_TIME = 16
CHECKSUM = "load"


class Programs:
    """Core data, asked of one tracker. Every method raises LoadError for an answer that it cannot use."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def known(self, program_ids: Sequence[str]) -> tuple[Target, ...]:
        return await _each(self._known, program_ids)

    async def samples(self) -> tuple[Target, ...]:
        """Loads them, as `/cache/fill` does."""
        filled = await self._json("GET", "/cache/fill")
        return await self.known([program["programId"] for program in filled["programs"]])

    async def own(self, number: int) -> tuple[Target, ...]:
        """`load-1` and so on, made where they are not there yet; they stay for the next load."""
        if not 0 < number <= PROGRAMS_MAX:
            raise LoadError(f"A load is of 1 to {PROGRAMS_MAX:,} programs of its own, not of {number:,}")
        return await _each(self._made, [f"load-{n}" for n in range(1, number + 1)])

    async def _known(self, program_id: str) -> Target:
        found = await self._json("GET", f"/programs/{program_id}")
        return Target(program_id, found["program"]["checksum"])

    async def _made(self, program_id: str) -> Target:
        found = await self._ask("GET", f"/programs/{program_id}")
        if found.status_code == codes.NOT_FOUND:
            fields = {"name": program_id, "customerId": 1, "customerName": "Load", "checksum": CHECKSUM}
            await self._json("PUT", f"/programs/{program_id}?wait=true", fields)
        return await self._known(program_id)

    async def _json(self, method: str, path: str, body: object = None) -> Any:
        response = await self._ask(method, path, body)
        if response.is_error:
            text = response.text[:DETAIL_MAX_CHARS]
            raise LoadError(f"{method} {response.url} answered {response.status_code}: {text}")
        return response.json()

    async def _ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        try:
            return await self._http.request(method, path, json=body)
        except httpx.TransportError as error:
            raise LoadError(f"No tracker answers at {self._http.base_url}: {error}") from error


async def _each(ask: Callable[[str], Awaitable[Target]], program_ids: Sequence[str]) -> tuple[Target, ...]:
    """Some at a time."""
    found: list[Target] = []
    for start in range(0, len(program_ids), AT_A_TIME):
        found += await asyncio.gather(*map(ask, program_ids[start : start + AT_A_TIME]))
    return tuple(found)
