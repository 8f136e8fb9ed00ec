"""What storing an event takes: `persist` in each of its stores against a PutItem for each event."""

import asyncio
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from statistics import median

import msgspec

from cdk.local.ports import free_ports
from schemas.settings import to_environment
from tests.bench.cases import CASES, Case
from tests.bench.processes import CREDENTIALS, module, running
from tests.bench.storing import Stored
from tests.bench.targets import until_open
from tests.lambdas.world import SETTINGS

WARM_UP_BATCHES = 1
STOP_TIMEOUT_S = 10


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """Medians over the rounds; `to_naive` is that of the ratio within a round."""

    case: str
    events_per_cpu_s: float
    us_per_event: float
    to_naive: float


class Stores(msgspec.Struct, frozen=True):
    """Each way to store events; the first is the naive one."""

    rounds: int
    cases: list[Measured]


class Process:
    """A function that is asked for one round after the other."""

    def __init__(self, case: Case, sink_url: str) -> None:
        self.case = case
        settings = {} if case.is_naive else {"EVENT_STORE": case.store}
        self._process = subprocess.Popen(
            module("tests.bench.storing", case.name),
            env={**CREDENTIALS, "AWS_ENDPOINT_URL": sink_url, **to_environment(SETTINGS), **settings},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def round(self, batches: int) -> Stored:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{batches}\n".encode())
        self._process.stdin.flush()
        return msgspec.json.decode(self._process.stdout.readline(), type=Stored)

    def stop(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait(STOP_TIMEOUT_S)
        self._process.stdout.close()


def measure(rounds: int, cases: Sequence[Case] = CASES) -> Stores:
    """Each case in each round; the first is what the others are compared with."""
    with functions(cases) as processes:
        for process in processes:
            process.round(WARM_UP_BATCHES)
        seen = [[process.round(process.case.batches) for process in processes] for _ in range(rounds)]
    measured = [_measured(case, [(each[n], each[0]) for each in seen]) for n, case in enumerate(cases)]
    return Stores(rounds, measured)


@contextmanager
def functions(cases: Sequence[Case]) -> Iterator[list[Process]]:
    (port,) = free_ports(1)
    with ExitStack() as stack:
        stack.enter_context(running(module("tests.bench.sink", port, 0)))
        asyncio.run(until_open(port))
        processes = [Process(case, f"http://127.0.0.1:{port}") for case in cases]
        for process in processes:
            stack.callback(process.stop)
        yield processes


def table(stores: Stores) -> str:
    head = f"{'':26}{'events per CPU s':>18}{'us per event':>14}{'to naive':>10}"
    rows = [
        f"{each.case:26}{each.events_per_cpu_s:18,.0f}{each.us_per_event:14.1f}{each.to_naive:10.1f}"
        for each in stores.cases
    ]
    return "\n".join([f"medians of {stores.rounds} interleaved rounds", head, *rows])


def _measured(case: Case, seen: Sequence[tuple[Stored, Stored]]) -> Measured:
    rate = median(_rate(own) for own, _ in seen)
    return Measured(
        case=case.name,
        events_per_cpu_s=rate,
        us_per_event=1e6 / rate,
        to_naive=median(_rate(own) / _rate(naive) for own, naive in seen),
    )


def _rate(stored: Stored) -> float:
    return stored.events / stored.cpu_s
