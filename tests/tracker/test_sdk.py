import os
from collections.abc import Iterator
from typing import Any

import pytest
from aiobotocore.session import AioSession, get_session
from botocore.loaders import JSONFileLoader

from tracker.sdk import LeanFiles, lean_session

SERVICES = ("kinesis", "dynamodb")
REGIONS = ("us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1")


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)


async def endpoint(session: AioSession, service: str, region: str) -> str:
    async with session.create_client(service, region_name=region) as client:
        url: str = client.meta.endpoint_url
        return url


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("region", REGIONS)
async def test_a_client_of_lean_models_calls_where_any_other_calls(service: str, region: str) -> None:
    assert await endpoint(lean_session(SERVICES), service, region) == await endpoint(
        get_session(), service, region
    )


@pytest.mark.parametrize("name", ["kinesis/2013-12-02/service-2", "dynamodb/2012-08-10/service-2"])
def test_operations_and_shapes_are_all_there_and_prose_is_not(name: str) -> None:
    path = model_path(name)
    whole, lean = JSONFileLoader().load_file(path), LeanFiles(SERVICES).load_file(path)

    assert "documentation" in set(names(whole))
    assert set(names(lean)) == set(names(whole)) - {"documentation"}
    for part in ("operations", "shapes"):
        assert list(lean[part]) == list(whole[part])


def test_of_the_endpoints_those_of_the_services_are_kept() -> None:
    partitions = LeanFiles(SERVICES).load_file(model_path("endpoints"))["partitions"]

    assert {name for partition in partitions for name in partition["services"]} == set(SERVICES)


def test_a_file_that_is_not_there_is_none() -> None:
    assert LeanFiles(SERVICES).load_file(model_path("no-such-model")) is None


def model_path(name: str) -> str:
    loader = get_session().get_component("data_loader")
    return os.path.join(loader.BUILTIN_DATA_PATH, *name.split("/"))


def names(model: Any) -> Iterator[str]:
    parts = model.items() if isinstance(model, dict) else enumerate(model)
    for name, part in parts:
        if isinstance(name, str):
            yield name
        if isinstance(part, dict | list):
            yield from names(part)
