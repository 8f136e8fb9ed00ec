"""A worker's metrics over HTTP."""

import asyncio

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from cdk.local.ports import free_ports
from schemas.metrics import WORKER_LAG, Reading
from workers.runtime.scrape import HEAD_MAX_BYTES, scraped

HOST = "127.0.0.1"
PLACE = ("tally", "events", "shardId-000000000000")


def readings() -> list[Reading]:
    return [Reading(WORKER_LAG, 1.5, PLACE)]


async def test_prometheus_reads_what_a_worker_tells() -> None:
    (port,) = free_ports(1)
    async with scraped(HOST, port, readings), httpx.AsyncClient(base_url=f"http://{HOST}:{port}") as client:
        answer = await client.get("/metrics")
        other = await client.get("/")
        posted = await client.post("/metrics")

    (family,) = text_string_to_metric_families(answer.text)
    assert family.samples[0].value == 1.5
    assert family.samples[0].labels == dict(zip(WORKER_LAG.labels, PLACE, strict=True))
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert (other.status_code, posted.status_code) == (404, 404)


@pytest.mark.parametrize("sent", [b"", b"x" * (2 * HEAD_MAX_BYTES), b"\x00\r\n\r\n"])
async def test_what_is_no_request_ends_with_its_connection(sent: bytes) -> None:
    (port,) = free_ports(1)
    async with scraped(HOST, port, readings):
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(sent)
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()

    assert b"worker_lag" not in answer


async def test_nobody_listens_without_a_port() -> None:
    async with scraped(HOST, 0, readings):
        pass
