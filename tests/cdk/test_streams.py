from cdk.profiles import PROFILES
from tests.cdk.conftest import Synthesis
from tests.cdk.templates import Assembly

STREAM = "AWS::Kinesis::Stream"


def test_there_are_three_streams_encrypted(assembly: Assembly) -> None:
    streams = assembly.all(STREAM)

    assert len(streams) == 3
    assert all(each["StreamEncryption"]["EncryptionType"] == "KMS" for each in streams)


def test_each_stream_is_as_its_profile_says(assemblies: dict[str, Assembly]) -> None:
    for name, profile in PROFILES.items():
        for part, stream in (
            ("Events", profile.event_stream),
            ("Updates", profile.update_stream),
            ("Touches", profile.touch_stream),
        ):
            made = assemblies[name].one(STREAM, part)
            mode = "ON_DEMAND" if stream.mode == "onDemand" else "PROVISIONED"

            assert made["StreamModeDetails"] == {"StreamMode": mode}
            assert made.get("ShardCount") == (stream.shards if stream.mode == "provisioned" else None)
            assert made["RetentionPeriodHours"] == stream.retention_hours


def test_on_demand_is_one_setting_away(synthesise: Synthesis) -> None:
    made = synthesise({"eventStream.mode": "onDemand"}).one(STREAM, "Events")

    assert made["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
