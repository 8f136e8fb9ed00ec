from cdk.config import LOCAL, Config


def test_every_table_and_stream_has_a_name_of_its_own() -> None:
    tables = [table.name for table in LOCAL.tables]
    streams = [stream.name for stream in LOCAL.streams]

    assert len(set(tables)) == len(tables) == 6
    assert len(set(streams)) == len(streams) == 3


def test_tables_are_keyed_as_their_items_are() -> None:
    config = Config()

    assert config.events.key == ("bucket", "message_id")
    assert config.totals.key == ("program_id", "lane")
    assert config.programs.key == ("program_id", None)
    assert config.leases.key == ("lease_key", None)


def test_events_and_what_is_known_of_them_alone_expire() -> None:
    assert {table.name: table.expires_at for table in Config().tables if table.expires_at} == {
        Config().events.name: "expires_at",
        Config().matches.name: "expires_at",
    }


def test_the_local_stack_has_more_than_one_lane_and_one_order_of_updates() -> None:
    assert LOCAL.event_stream.shards == 2
    assert LOCAL.update_stream.shards == 1


def test_a_batch_of_full_frames_fits_into_an_invocation() -> None:
    frame_as_base64 = 24 * 1024 * 4 // 3

    assert LOCAL.persist_source.batch_size * frame_as_base64 < 6 * 1024 * 1024
