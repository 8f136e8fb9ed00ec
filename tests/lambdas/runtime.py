"""Lambda around a function, on this machine: its runtime API, and the runtime that asks it for events.

The API is that of the AWS Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes"; the
environment is that of "Defined runtime environment variables". The runtime is AWS's own: awslambdaric.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distribution
from pathlib import Path, PurePath
from queue import Queue
from threading import Thread
from typing import Any, NamedTuple
from uuid import uuid4

from cdk.assets import THIS_MACHINE, FunctionName, lambda_bundle

API = "/2018-06-01/runtime"
RUNTIME_PACKAGES = (
    *("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"),
    *("awslambdaric", "simplejson", "snapshot-restore-py"),
)
"""What the managed runtime brings: the SDK, and AWS's runtime interface client."""
TIMEOUT_S = 60
STOP_TIMEOUT_S = 10
ISOLATED = (sys.executable, "-S", "-B")
"""Without this environment's packages; a deployed bundle cannot be written to, so no bytecode is kept."""


TIMED_IMPORT = "from time import perf_counter as t; s = t(); import lambdas.{}; print(t() - s)"


class Invocation(NamedTuple):
    """One event on its way to the function."""

    request_id: str
    body: bytes


class Outcome(NamedTuple):
    """What the runtime posted for an invocation, and when it was handed over and answered."""

    kind: str
    """`response` or `error`; `init` where the function could not even be imported."""
    body: Any
    began_s: float
    ended_s: float


class RuntimeApi(ThreadingHTTPServer):
    """Hands out invocations one after another and takes in what becomes of them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.invocations: Queue[Invocation] = Queue()
        self.outcomes: Queue[Outcome] = Queue()
        self.asked: Queue[float] = Queue()
        """When the runtime asked for an invocation: at first, once the function is imported."""
        self.handed_over_s = 0.0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Request(BaseHTTPRequestHandler):
    """One request of the runtime."""

    server: RuntimeApi

    def do_GET(self) -> None:
        self.server.asked.put(time.perf_counter())
        invocation = self.server.invocations.get()
        self.server.handed_over_s = time.perf_counter()
        self.send_response(200)
        for name, value in _headers(invocation):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(invocation.body)

    def do_POST(self) -> None:
        ended_s = time.perf_counter()
        body = json.loads(self._body())
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()
        kind = "init" if self.path == f"{API}/init/error" else self.path.rpartition("/")[2]
        self.server.outcomes.put(Outcome(kind, body, self.server.handed_over_s, ended_s))

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not worth a line each."""

    def _body(self) -> bytes:
        if self.headers["Transfer-Encoding"] != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"]))
        return b"".join(iter(self._chunk, b""))

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline(), 16)
        return self.rfile.read(size + 2)[:-2]


class Function(NamedTuple):
    """A started function."""

    api: RuntimeApi
    started_s: float

    def invoke(self, event: Mapping[str, Any]) -> Outcome:
        self.api.invocations.put(Invocation(str(uuid4()), json.dumps(event).encode()))
        return self.outcome()

    def outcome(self) -> Outcome:
        return self.api.outcomes.get(timeout=TIMEOUT_S)

    def init_s(self) -> float:
        """From the start of the process until it asks for its first invocation. To be called once."""
        return self.api.asked.get(timeout=TIMEOUT_S) - self.started_s


class Runtime:
    """Starts functions, each in an interpreter that finds a bundle and the runtime's packages alone."""

    def __init__(self, layer: Path, environment: Mapping[str, str]) -> None:
        self._layer = layer
        self._environment = environment

    @contextmanager
    def start(
        self, name: FunctionName, *, bundle: FunctionName | None = None, **changed: str
    ) -> Iterator[Function]:
        folder = lambda_bundle(bundle or name, platform=THIS_MACHINE)
        with ExitStack() as stack:
            api = stack.enter_context(_serving())
            started_s = time.perf_counter()
            process = subprocess.Popen(
                [*ISOLATED, "-m", "awslambdaric", f"lambdas.{name}.handler"],
                cwd=folder,
                env={**self.variables(name, folder), "AWS_LAMBDA_RUNTIME_API": api.address, **changed},
            )
            stack.callback(process.wait, STOP_TIMEOUT_S)
            stack.callback(process.terminate)
            yield Function(api, started_s)

    def import_s(self, name: FunctionName) -> float:
        """How long a new interpreter takes to import the function."""
        folder = lambda_bundle(name, platform=THIS_MACHINE)
        command = [*ISOLATED, "-c", TIMED_IMPORT.format(name)]
        return float(subprocess.check_output(command, cwd=folder, env=self.variables(name, folder)))

    def variables(self, name: FunctionName, folder: Path) -> dict[str, str]:
        return {
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "LAMBDA_TASK_ROOT": str(folder),
            "PYTHONPATH": f"{folder}:{self._layer}",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            **self._environment,
        }


def make_layer(folder: Path) -> Path:
    """What the managed runtime brings, bytecode and all, linked into one folder."""
    for package in RUNTIME_PACKAGES:
        installed = distribution(package)
        for top in {_top(each) for each in installed.files or () if ".." not in each.parts}:
            link = folder / top
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(Path(str(installed.locate_file(top))))
    return folder


@contextmanager
def _serving() -> Iterator[RuntimeApi]:
    with RuntimeApi() as api:
        thread = Thread(target=api.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield api
        finally:
            api.shutdown()
            thread.join()


def _top(path: PurePath) -> PurePath:
    """The package, or the module outside of any, that a file belongs to."""
    return PurePath(*path.parts[: 2 if path.parts[0] == "__pycache__" else 1])


def _headers(invocation: Invocation) -> list[tuple[str, str]]:
    deadline_ms = int(time.time() * 1000) + TIMEOUT_S * 1000
    return [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(invocation.body))),
        ("Lambda-Runtime-Aws-Request-Id", invocation.request_id),
        ("Lambda-Runtime-Deadline-Ms", str(deadline_ms)),
        ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:f"),
        ("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0"),
    ]
