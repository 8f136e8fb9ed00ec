from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import msgspec
import pytest

from cdk.local.errors import DemoError
from cdk.local.load import BATCH, Client, make_deliveries, make_samples

CHECKSUMS = {"p1": "1", "p2": "2"}
TRACKERS = ("http://one", "http://two")
ERROR = {"reason": "buffer_full", "detail": "full"}

Handler = Callable[[httpx.Request], httpx.Response]


@asynccontextmanager
async def make_client(handler: Handler) -> AsyncIterator[Client]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as http:
        yield Client(http, TRACKERS, retry_s=0.0)


def accept(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"accepted": 1, "rejected": 0, "errors": []})


def ids(request: httpx.Request) -> list[str]:
    if request.method == "GET":
        return [request.url.params["messageId"]]
    return [event["messageId"] for event in msgspec.json.decode(request.content)]


def test_samples_are_of_every_kind_and_program_and_some_are_invalid() -> None:
    samples = make_samples(CHECKSUMS, 2_000, seed=1)
    counted = Counter((sample.entry.program_id, sample.entry.counts_as) for sample in samples)

    assert len(counted) == 8
    assert len({sample.entry.message_id for sample in samples}) == 2_000
    for sample in samples:
        right = sample.event.checksum == CHECKSUMS[sample.event.program_id]
        assert right == (sample.entry.counts_as != "invalid")


def test_deliveries_hold_every_sample_once() -> None:
    samples = make_samples(CHECKSUMS, 1_234, seed=1)
    deliveries = make_deliveries(samples)

    assert sorted(s.entry for delivery in deliveries for s in delivery) == sorted(s.entry for s in samples)
    assert max(map(len, deliveries)) == BATCH
    assert sum(len(delivery) == 1 for delivery in deliveries) >= 123


async def test_what_is_answered_is_acknowledged_and_both_trackers_are_used() -> None:
    samples = make_samples(CHECKSUMS, 500, seed=1)
    hosts = Counter[str]()

    def handle(request: httpx.Request) -> httpx.Response:
        hosts[request.url.host] += 1
        return accept(request)

    async with make_client(handle) as client:
        await client.send_all(make_deliveries(samples))

    assert client.acknowledged == {sample.entry for sample in samples}
    assert not client.unanswered
    assert hosts.keys() == {"one", "two"}
    assert len(client.single_ms) == 50
    assert len(client.batch_ms) == 5


async def test_only_what_was_not_taken_is_sent_again_with_the_same_ids() -> None:
    samples = make_samples(CHECKSUMS, 3, seed=1)
    error = ERROR | {"index": 1}
    sent: list[list[str]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(ids(request))
        return accept(request) if len(sent) > 1 else httpx.Response(503, json={"errors": [error]})

    async with make_client(handle) as client:
        await client.send_all([samples])

    assert sent == [[sample.entry.message_id for sample in samples], [samples[1].entry.message_id]]
    assert client.acknowledged == {sample.entry for sample in samples}


async def test_a_tracker_that_is_gone_or_takes_nothing_is_asked_again() -> None:
    (sample,) = make_samples(CHECKSUMS, 1, seed=1)
    answers = iter([None, httpx.Response(503, json={"reason": "draining"}), httpx.Response(200, json={})])

    def handle(request: httpx.Request) -> httpx.Response:
        answer = next(answers)
        if answer is None:
            raise httpx.ConnectError("refused")
        return answer

    async with make_client(handle) as client:
        await client.send_all([[sample]])

    assert client.acknowledged == {sample.entry}


async def test_what_is_never_acknowledged_may_be_stored_or_not() -> None:
    samples = make_samples(CHECKSUMS, 2, seed=1)

    async with make_client(lambda request: httpx.Response(503, json={"reason": "draining"})) as client:
        await client.send_all([samples])

    assert client.unanswered == {sample.entry for sample in samples}
    assert not client.acknowledged


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, json={"errors": [ERROR | {"index": 0, "reason": "malformed"}]}),
        httpx.Response(401, text="no token"),
    ],
)
async def test_a_refusal_ends_the_demo(answer: httpx.Response) -> None:
    samples = make_samples(CHECKSUMS, 2, seed=1)

    async with make_client(lambda request: answer) as client:
        with pytest.raises(DemoError, match=r"200 malformed: full|401 : no token"):
            await client.send_all([samples])
