from cdk.config import Config, Table
from tests.cdk.templates import Assembly, Properties


def table(assembly: Assembly, table: Table) -> Properties:
    return assembly.one("AWS::DynamoDB::Table", table.name.removeprefix("tracker-").capitalize())


def test_every_table_of_the_configuration_is_there_with_its_key(assembly: Assembly) -> None:
    for each in Config().tables:
        keys = {key["KeyType"]: key["AttributeName"] for key in table(assembly, each)["KeySchema"]}

        assert (keys["HASH"], keys.get("RANGE")) == each.key


def test_items_expire_where_their_table_says_so(assembly: Assembly) -> None:
    for each in Config().tables:
        expiry = table(assembly, each).get("TimeToLiveSpecification")

        assert expiry == (each.expires_at and {"AttributeName": each.expires_at, "Enabled": True})


def test_the_index_of_a_table_holds_what_its_items_hold(assembly: Assembly) -> None:
    for each in Config().tables:
        indexes = table(assembly, each).get("GlobalSecondaryIndexes", [])

        assert len(indexes) == (each.index is not None)
        for index in indexes:
            keys = {key["KeyType"]: key["AttributeName"] for key in index["KeySchema"]}
            assert each.index is not None
            assert (index["IndexName"], (keys["HASH"], keys["RANGE"])) == (each.index.name, each.index.key)
            assert index["Projection"] == {"ProjectionType": "ALL"}


def test_tables_are_paid_per_request_restorable_and_protected(assembly: Assembly) -> None:
    tables = assembly.all("AWS::DynamoDB::Table")

    assert {each["BillingMode"] for each in tables} == {"PAY_PER_REQUEST"}
    assert all(each["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] for each in tables)
    assert all(each["DeletionProtectionEnabled"] for each in tables)


def test_no_bucket_is_public_or_plain(assembly: Assembly) -> None:
    buckets = assembly.all("AWS::S3::Bucket")

    assert len(buckets) == 2
    assert all(all(each["PublicAccessBlockConfiguration"].values()) for each in buckets)
    assert all("BucketEncryption" in each for each in buckets)


def test_buckets_take_nothing_without_tls(assembly: Assembly) -> None:
    for policy in assembly.all("AWS::S3::BucketPolicy"):
        refused = [each for each in policy["PolicyDocument"]["Statement"] if each["Effect"] == "Deny"]

        assert [each["Condition"] for each in refused] == [{"Bool": {"aws:SecureTransport": "false"}}]


def test_what_failed_is_kept_for_a_year_and_counted(assembly: Assembly) -> None:
    bucket = assembly.one("AWS::S3::Bucket", "FailedEvents")
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]

    assert rule["ExpirationInDays"] > 365
    assert bucket["MetricsConfigurations"] == [{"Id": "all"}]
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
