from schemas.leases import SHARD_END, Lease, lease_from_row, lease_key, lease_row_key

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
        "writer": {"S": "run-1"},
        "watermark_ms": {"N": "1760000000000"},
        "head": {"S": "4/run-1"},
        "tail": {"N": "2"},
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
        writer="run-1",
        watermark_ms=1_760_000_000_000,
        head="4/run-1",
        tail=2,
    )


def test_a_row_with_a_key_alone_is_a_lease_that_nobody_had() -> None:
    assert lease_from_row({"lease_key": {"S": KEY}}) == Lease(key=KEY)


def test_a_lease_has_ended_at_the_end_of_its_shard() -> None:
    assert Lease(key=KEY, checkpoint=SHARD_END).has_ended
    assert not Lease(key=KEY, checkpoint="4959").has_ended
