from contextlib import closing

from cdk.config import Config, Table
from cdk.local.audit import Entry
from cdk.local.resources import aws_client, create_resources
from cdk.local.stored import Stored, entries_of
from schemas.dynamodb import EVENTS_KEY, Origin, event_item
from schemas.events import encode_event
from schemas.frames import encode_frame
from schemas.packs import Pack, Place, pack_item
from tests.cdk.test_stack_file import make_stack_file
from tests.factories import click, view

ID = "212313"
CONFIG = Config(events=Table("stored-events", EVENTS_KEY, "expires_at"))


def test_an_event_and_a_pack_of_events_are_entries_of_the_ledger() -> None:
    counted, refused = view(), click(valid=False)
    frame = encode_frame([encode_event(counted), encode_event(refused)])
    pack = Pack(number=1, at_ms=1, lane="lane", place=Place.of("1", 0), frame=frame)

    packed = list(entries_of(pack_item(ID, pack)))

    assert packed == [
        Entry(ID, str(counted.message_id), "views"),
        Entry(ID, str(refused.message_id), "invalid"),
    ]
    apart = [event_item(event, Origin("lane", "1")) for event in (counted, refused)]
    assert [entry for item in apart for entry in entries_of(item)] == packed


async def test_an_event_is_lost_from_its_pack_alone(ministack: str) -> None:
    create_resources(CONFIG, endpoint_url=ministack)
    frame = encode_frame([encode_event(view()), encode_event(click()), encode_event(view())])
    pack = Pack(number=1, at_ms=1, lane="lane", place=Place.of("1", 2), frame=frame)
    item = pack_item(ID, pack)
    file = make_stack_file(aws_endpoint_url=ministack, region=CONFIG.region, events_table=CONFIG.events.name)
    with closing(aws_client("dynamodb", endpoint_url=ministack, region=CONFIG.region)) as dynamodb:
        dynamodb.put_item(TableName=CONFIG.events.name, Item=item)
    with closing(Stored(file)) as stored:
        first, lost, last = entries_of(item)

        await stored.remove(lost)

        assert await stored.entries() == [first, last]
        await stored.until_held(last)
