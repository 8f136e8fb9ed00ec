"""Puts: PutRecords over botocore's signer and aiobotocore's connections, without what lies between.

A client of AWS reads its endpoint rules, runs its hooks and checks its shapes at every call. That is most
of what a put costs this task, and the same each time: one operation, one shape, one endpoint.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError, NoCredentialsError
from botocore.utils import get_environ_proxies

SERVICE = "kinesis"
_HEADERS = {
    "X-Amz-Target": "Kinesis_20131202.PutRecords",
    "Content-Type": "application/x-amz-json-1.1",
}
_encoder = msgspec.json.Encoder()


class DirectKinesis:
    """What the intake asks of Kinesis, as aiobotocore's client answers it. Raises what that raises."""

    def __init__(self, client: Any, session: AioSession, connections: AIOHTTPSession) -> None:
        self._kinesis = client
        self._session = session
        self._connections = connections

    async def list_shards(self, **request: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await self._kinesis.list_shards(**request)
        return answer

    async def put_records(self, **request: Any) -> dict[str, Any]:
        signed = AWSRequest(
            method="POST",
            url=self._kinesis.meta.endpoint_url,
            headers=_HEADERS,
            data=_encoder.encode(request),  # bytes in base64, as the API has them
        )
        (await self._signer()).add_auth(signed)
        response = await self._connections.send(signed.prepare())
        return _read(response.status_code, await response.content)

    async def _signer(self) -> SigV4Auth:
        credentials = (
            await self._session.get_credentials()
        )  # the session keeps them, and they themselves fresh
        if credentials is None:
            raise NoCredentialsError
        return SigV4Auth(await credentials.get_frozen_credentials(), SERVICE, self._kinesis.meta.region_name)


@asynccontextmanager
async def direct(client: Any, session: AioSession, *, timeout_s: float) -> AsyncIterator[DirectKinesis]:
    """With connections of its own, which take the proxies and the certificates that `client` takes."""
    connections = AIOHTTPSession(
        verify=session.get_config_variable("ca_bundle") or True,
        proxies=get_environ_proxies(client.meta.endpoint_url),
        timeout=timeout_s,
        max_pool_connections=client.meta.config.max_pool_connections,
    )
    async with connections:
        yield DirectKinesis(client, session, connections)


def _read(status: int, body: bytes) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = msgspec.json.decode(body)
    except msgspec.DecodeError:
        answer = {}
    if status == 200 and answer:
        return answer
    code = str(answer.get("__type", status)).rpartition("#")[2]
    error = {"Code": code, "Message": str(answer.get("message", ""))}
    raise ClientError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutRecords")
