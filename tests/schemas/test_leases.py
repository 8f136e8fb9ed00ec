from schemas.leases import (
    SHARD_END,
    Entry,
    Lease,
    Row,
    entry_from_row,
    entry_row,
    entry_row_key,
    lease_from_row,
    lease_key,
    lease_row_key,
)

KEY = "tally/tracker-events/shardId-000000000006"


def test_a_key_names_the_application_the_stream_and_the_shard() -> None:
    assert lease_key("tally", "tracker-events", "shardId-000000000006") == KEY
    assert lease_row_key(KEY) == {"lease_key": {"S": KEY}}


def test_the_golden_row_of_a_lease() -> None:
    row = {
        "lease_key": {"S": KEY},
        "owner": {"S": "worker-1"},
        "token": {"S": "token-1"},
        "counter": {"N": "7"},
        "wanted_by": {"S": "worker-2"},
        "checkpoint": {"S": "4959"},
        "half_done": {"S": "4960/3"},
        "epoch": {"N": "5"},
        "watermark_ms": {"N": "1760000000000"},
        "of_a_later_version": {"S": "passed over"},
    }

    assert lease_from_row(row) == Lease(
        key=KEY,
        owner="worker-1",
        token="token-1",
        counter=7,
        wanted_by="worker-2",
        checkpoint="4959",
        half_done="4960/3",
        epoch=5,
        watermark_ms=1_760_000_000_000,
    )


def test_a_row_with_a_key_alone_is_a_lease_that_nobody_had() -> None:
    assert lease_from_row({"lease_key": {"S": KEY}}) == Lease(key=KEY)


def test_a_lease_has_ended_at_the_end_of_its_shard() -> None:
    assert Lease(key=KEY, checkpoint=SHARD_END).has_ended
    assert not Lease(key=KEY, checkpoint="4959").has_ended


def test_the_golden_row_of_an_entry() -> None:
    entry = Entry("totals", '["212313/x",5]', 5, b"\x01", b"\x00")
    row: Row = {
        "lease_key": {"S": KEY},
        "entry": {"S": 'totals/["212313/x",5]'},
        "epoch": {"N": "5"},
        "value": {"B": b"\x01"},
        "previous": {"B": b"\x00"},
    }

    assert entry_row(KEY, entry) == row
    assert entry_from_row(row) == entry
    assert entry_row_key(KEY, "totals", '["212313/x",5]').items() <= row.items()


def test_an_entry_of_an_unfinished_commit_is_as_it_was_before() -> None:
    entry = Entry("totals", "k", 5, b"new", b"old")

    assert entry.as_of(5) == b"new"
    assert entry.as_of(4) == b"old"
    assert Entry("totals", "k", 5, b"new").as_of(4) is None
    assert Entry("totals", "k", 5, None, b"old").as_of(5) is None
