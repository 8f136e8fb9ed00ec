"""DynamoDB over its wire protocol, for calls that are made by the thousand.

A call of the SDK's client takes a millisecond of CPU time, and a microsecond more for every value: it walks
the request along the service's model, and the answer. These are JSON as they stand, so msgspec writes and
reads them. What is hard stays the SDK's: finding the endpoint and credentials, signing (Amazon DynamoDB
Developer Guide, "DynamoDB low-level API"; docs/decisions/0025-dynamodb-on-the-wire.md).
"""

import logging
import random
import time
import zlib
from collections.abc import Sequence
from typing import Any, Required, TypedDict

import msgspec
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError
from botocore.httpsession import get_cert_path
from urllib3 import HTTPConnectionPool, Retry, Timeout, connection_from_url
from urllib3.exceptions import HTTPError

from lambdas.calls import CONNECTIONS, RETRY_PAUSES_S

TARGET = "DynamoDB_20120810"
CONTENT_TYPE = "application/x-amz-json-1.0"
CONNECT_TIMEOUT_S = 2
READ_TIMEOUT_S = 5
ATTEMPTS = 3
SUCCESS = 200
SERVER_ERRORS = range(500, 600)
PASSING_ERRORS = frozenset(
    {
        "ItemCollectionSizeLimitExceededException",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "TransactionInProgressException",
    }
)
"""Worth another attempt at once (Amazon DynamoDB Developer Guide, "Error handling with DynamoDB")."""

log = logging.getLogger(__name__)


class Attribute(TypedDict, total=False):
    """An attribute's value in JSON: bytes are base64 there."""

    S: str
    N: str
    BOOL: bool
    B: bytes
    L: list[Any]
    M: dict[str, Any]
    NULL: bool
    SS: list[str]


Items = list[dict[str, Attribute]]


class Unprocessed(TypedDict):
    Keys: Items


class GotItem(TypedDict, total=False):
    Item: dict[str, Attribute]


class GotItems(TypedDict):
    Responses: dict[str, Items]
    UnprocessedKeys: dict[str, Unprocessed]


class Page(TypedDict, total=False):
    Items: Required[Items]
    LastEvaluatedKey: dict[str, Attribute]


class Refused(msgspec.Struct):
    """An error as DynamoDB tells it; what came with it is read where a caller wants it."""

    type: str = msgspec.field(name="__type", default="Unknown")
    message: str = msgspec.field(default="")
    other_message: str = msgspec.field(name="Message", default="")
    item: dict[str, Attribute] | None = msgspec.field(name="Item", default=None)


class DynamoDB:
    """The calls of a low-level client that the store makes, with the requests and answers of that client.

    Safe to share between threads. Raises ClientError for what DynamoDB refuses, HTTPClientError where it
    cannot be reached; what passes is tried again first.
    """

    def __init__(
        self,
        endpoint_url: str,
        *,
        region: str,
        credentials: Credentials | None,
        pauses_s: Sequence[float] = RETRY_PAUSES_S,
    ) -> None:
        self._url = endpoint_url
        self._region = region
        self._credentials = credentials
        self._pauses_s = pauses_s
        self._pool = connection(endpoint_url)

    @property
    def connections(self) -> int:
        """How many were opened so far."""
        return self._pool.num_connections

    def get_item(self, **request: Any) -> Any:
        return self._call("GetItem", request, GotItem)

    def put_item(self, **request: Any) -> Any:
        return self._call("PutItem", request, dict[str, Any])

    def query(self, **request: Any) -> Any:
        return self._call("Query", request, Page)

    def batch_get_item(self, **request: Any) -> Any:
        return self._call("BatchGetItem", request, GotItems)

    def batch_execute_statement(self, **request: Any) -> Any:
        return self._call("BatchExecuteStatement", request, dict[str, Any])

    def _call(self, operation: str, request: dict[str, Any], answer: Any) -> Any:
        body = msgspec.json.encode(request)
        for pause_s in (*self._pauses_s[: ATTEMPTS - 1], None):
            try:
                return msgspec.json.decode(self._post(operation, body), type=answer)
            except (ClientError, BotoCoreError) as error:
                if pause_s is None or not _is_passing(error):
                    raise
                log.info("%s is tried again: %s", operation, error)
                time.sleep(random.uniform(pause_s / 2, pause_s))
        raise AssertionError("unreachable")

    def _post(self, operation: str, body: bytes) -> bytes:
        headers = self._signed(operation, body)
        try:
            response = self._pool.urlopen("POST", "/", body=body, headers=headers)
        except HTTPError as error:
            raise HTTPClientError(error=error) from error
        if response.status != SUCCESS:
            raise _refusal(operation, response.status, response.data)
        if not _is_whole(response.data, response.headers.get("x-amz-crc32")):
            raise HTTPClientError(error="the answer was damaged on its way")
        return response.data

    def _signed(self, operation: str, body: bytes) -> dict[str, str]:
        if self._credentials is None:
            raise NoCredentialsError
        headers = {"X-Amz-Target": f"{TARGET}.{operation}", "Content-Type": CONTENT_TYPE}
        request = AWSRequest("POST", self._url, headers=headers, data=body)
        SigV4Auth(self._credentials.get_frozen_credentials(), "dynamodb", self._region).add_auth(request)
        return dict(request.headers.items())


def connection(endpoint_url: str) -> HTTPConnectionPool:
    """Connections that are kept, over TLS with the SDK's certificates where the endpoint is https."""
    tls = {"ca_certs": get_cert_path(True)} if endpoint_url.startswith("https:") else {}
    return connection_from_url(
        endpoint_url,
        maxsize=CONNECTIONS,
        timeout=Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S),
        retries=Retry(0, redirect=False),
        **tls,
    )


def _refusal(operation: str, status: int, data: bytes) -> ClientError:
    try:
        refused = msgspec.json.decode(data, type=Refused)
    except msgspec.MsgspecError:
        refused = Refused(message=data[:200].decode(errors="replace"))
    response: dict[str, Any] = {
        "Error": {
            "Code": refused.type.rpartition("#")[2],
            "Message": refused.message or refused.other_message,
        },
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response if refused.item is None else response | {"Item": refused.item}, operation)


def _is_passing(error: ClientError | BotoCoreError) -> bool:
    if not isinstance(error, ClientError):
        return isinstance(error, HTTPClientError)
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return status in SERVER_ERRORS or error.response["Error"]["Code"] in PASSING_ERRORS


def _is_whole(data: bytes, checksum: str | None) -> bool:
    return checksum is None or zlib.crc32(data) == int(checksum)
