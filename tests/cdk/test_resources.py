"""Tables and streams, made on the stand-in."""

from cdk.config import Config, Stream, Table
from cdk.local.resources import aws_client, create_resources
from schemas.dynamodb import EVENTS_KEY, PROGRAMS_KEY

CONFIG = Config(
    events=Table("resources-events", EVENTS_KEY, "expires_at"),
    programs=Table("resources-programs", PROGRAMS_KEY),
    event_stream=Stream(name="resources-events"),
    update_stream=Stream(name="resources-updates"),
)


def time_to_live(endpoint_url: str, table: Table) -> dict[str, str]:
    dynamodb = aws_client("dynamodb", endpoint_url=endpoint_url, region=CONFIG.region)
    described: dict[str, str] = dynamodb.describe_time_to_live(TableName=table.name)["TimeToLiveDescription"]
    dynamodb.close()
    return described


def test_a_table_whose_items_expire_has_time_to_live_turned_on_however_often_it_is_made(
    ministack: str,
) -> None:
    for _ in range(2):
        create_resources(CONFIG, endpoint_url=ministack)

    assert time_to_live(ministack, CONFIG.events) == {
        "TimeToLiveStatus": "ENABLED",
        "AttributeName": "expires_at",
    }
    assert time_to_live(ministack, CONFIG.programs)["TimeToLiveStatus"] == "DISABLED"
