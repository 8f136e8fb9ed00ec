"""DynamoDB's wire protocol against a server that answers as it is told."""

import hashlib
import hmac
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple

import msgspec
import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, HTTPClientError, NoCredentialsError

from lambdas.batch import DEPENDENCY_ERRORS
from lambdas.wire import DynamoDB

SECRET = "secret"
REGION = "eu-central-1"
CONFLICT = {
    "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
    "Message": "The conditional request failed",
    "Item": {"frame": {"B": "AQI="}},
}
THROTTLED = {"__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}
CUT = object()
"""The connection ends without an answer."""


class Asked(NamedTuple):
    headers: Mapping[str, str]
    body: bytes


class Server(ThreadingHTTPServer):
    """Answers with each of `answers` in turn, with the last one from there on."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, object]] = [(200, {})]
        self.asked: list[Asked] = []
        self.checksum: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(Asked({name.lower(): value for name, value in self.headers.items()}, body))
        status, answer = self.server.answers.pop(0) if self.server.answers[1:] else self.server.answers[0]
        if answer is CUT:
            self.close_connection = True
            return
        data = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("x-amz-crc32", self.server.checksum or str(zlib.crc32(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not worth a line each."""


@contextmanager
def serving() -> Iterator[Server]:
    with Server() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def client(url: str, *, token: str | None = None) -> DynamoDB:
    credentials = Credentials("key", SECRET, token)
    return DynamoDB(url, region=REGION, credentials=credentials, pauses_s=(0.0, 0.0, 0.0))


def test_a_request_is_the_json_that_it_is_in_the_api_reference(server: Server) -> None:
    client(server.url).put_item(TableName="t", Item={"frame": {"B": b"\x01\x02"}, "n": {"N": "1"}})

    (asked,) = server.asked
    assert asked.headers["x-amz-target"] == "DynamoDB_20120810.PutItem"
    assert asked.headers["content-type"] == "application/x-amz-json-1.0"
    assert msgspec.json.decode(asked.body) == {
        "TableName": "t",
        "Item": {"frame": {"B": "AQI="}, "n": {"N": "1"}},
    }


def test_an_answer_is_what_the_sdk_would_make_of_it(server: Server) -> None:
    item = {"frame": {"B": "AQI="}, "kind": {"S": "view"}, "valid": {"BOOL": True}, "n": {"N": "1"}}
    server.answers = [(200, {"Items": [item], "Count": 1, "LastEvaluatedKey": {"bucket": {"S": "b"}}})]

    assert client(server.url).query(TableName="t") == {
        "Items": [item | {"frame": {"B": b"\x01\x02"}}],
        "LastEvaluatedKey": {"bucket": {"S": "b"}},
    }


def test_a_request_is_signed_as_signature_version_4_has_it(server: Server) -> None:
    """AWS Identity and Access Management User Guide, "Create a signed AWS API request"."""
    client(server.url, token="token").get_item(TableName="t")

    (asked,) = server.asked
    _, _, rest = asked.headers["authorization"].partition(" ")
    given = dict(part.strip().split("=", 1) for part in rest.split(","))
    names = given["SignedHeaders"].split(";")
    moment = asked.headers["x-amz-date"]
    scope = f"{moment[:8]}/{REGION}/dynamodb/aws4_request"
    canonical = "\n".join(
        [
            "POST",
            "/",
            "",
            *(f"{name}:{asked.headers[name]}" for name in names),
            "",
            given["SignedHeaders"],
            hashlib.sha256(asked.body).hexdigest(),
        ]
    )
    to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    assert {"host", "x-amz-date", "x-amz-security-token", "x-amz-target"} <= set(names)
    assert given["Credential"] == f"key/{scope}"
    assert given["Signature"] == hmac.new(key, to_sign.encode(), "sha256").hexdigest()


def test_what_dynamodb_refuses_is_raised_as_by_the_sdk(server: Server) -> None:
    server.answers = [(400, CONFLICT)]

    with pytest.raises(ClientError) as raised:
        client(server.url).put_item(TableName="t")

    assert raised.value.response["Error"]["Code"] == "ConditionalCheckFailedException"
    assert raised.value.response["Error"]["Message"] == "The conditional request failed"
    assert raised.value.response["Item"] == {"frame": {"B": b"\x01\x02"}}
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "passing", [(400, THROTTLED), (500, {"__type": "x#InternalServerError"}), (503, b"<html>"), (0, CUT)]
)
def test_what_passes_is_tried_again(server: Server, passing: tuple[int, object]) -> None:
    server.answers = [passing, passing, (200, {"Item": {"n": {"N": "1"}}})]

    assert client(server.url).get_item(TableName="t") == {"Item": {"n": {"N": "1"}}}
    assert len(server.asked) == 3


@pytest.mark.parametrize("lasting", [(400, THROTTLED), (503, b"<html>"), (0, CUT)])
def test_what_does_not_pass_is_an_error_of_a_dependency(server: Server, lasting: tuple[int, object]) -> None:
    server.answers = [lasting]

    with pytest.raises(DEPENDENCY_ERRORS):
        client(server.url).get_item(TableName="t")

    assert len(server.asked) == 3


def test_an_answer_that_was_damaged_is_asked_for_again(server: Server) -> None:
    server.checksum = "1"

    with pytest.raises(HTTPClientError, match="damaged"):
        client(server.url).get_item(TableName="t")

    assert len(server.asked) == 3


def test_nobody_there_is_an_error_of_a_dependency() -> None:
    with serving() as gone:
        url = gone.url

    with pytest.raises(HTTPClientError):
        client(url).get_item(TableName="t")


def test_without_credentials_nothing_is_sent(server: Server) -> None:
    with pytest.raises(NoCredentialsError):
        DynamoDB(server.url, region=REGION, credentials=None).get_item(TableName="t")

    assert server.asked == []


def test_a_connection_is_kept(server: Server) -> None:
    wire = client(server.url)

    for _ in range(3):
        wire.get_item(TableName="t")

    assert len({asked.headers["host"] for asked in server.asked}) == 1
    assert wire.connections == 1
