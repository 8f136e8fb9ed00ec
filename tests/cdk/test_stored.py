from cdk.local.audit import Entry
from cdk.local.stored import entries_of
from schemas.dynamodb import Origin, event_item
from schemas.events import encode_event
from schemas.frames import encode_frame
from schemas.packs import Pack, Place, pack_item
from tests.factories import click, view

ID = "212313"


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
