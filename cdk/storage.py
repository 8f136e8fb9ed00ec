"""What is kept: tables, the key, the bucket of what failed, and the bucket of access logs."""

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from cdk import profiles
from cdk.config import Config, Table
from cdk.review import accept
from cdk.secret import generated_secret

FAILED_EVENTS_METRICS = "all"
"""The id of the bucket's request metrics: each object put there is a failure to look at."""


class Storage(Construct):
    """Tables and buckets. They stay when the stack is destroyed, unless the profile says otherwise."""

    def __init__(self, scope: Construct, id: str, *, config: Config, profile: profiles.Storage) -> None:
        super().__init__(scope, id)
        self._profile = profile
        self._removal = removal_policy(profile)
        tables = {table: self._table(table) for table in config.tables}
        self.events = tables[config.events]
        self.totals = tables[config.totals]
        self.programs = tables[config.programs]
        self.leases = tables[config.leases]
        self.state = tables[config.state]
        self.matches = tables[config.matches]
        self.key = self._key()
        self.logs = self._bucket("Logs", kept_days=profile.logs_days)
        accept(self.logs, "AwsSolutions-S1", "This bucket holds the access logs of the others.")
        self.failed_events = self._failed_events()

    def _table(self, table: Table) -> dynamodb.Table:
        partition, sort = table.key
        made = dynamodb.Table(
            self,
            table.name.removeprefix("tracker-").capitalize(),
            partition_key=_attribute(partition),
            sort_key=_attribute(sort) if sort else None,
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            time_to_live_attribute=table.expires_at,
            encryption=dynamodb.TableEncryption.DEFAULT,
            deletion_protection=self._profile.retain,
            removal_policy=self._removal,
        )
        if table.index is not None:
            partition, sort = table.index.key
            made.add_global_secondary_index(
                index_name=table.index.name,
                partition_key=_attribute(partition),
                sort_key=_attribute(sort) if sort else None,
                projection_type=dynamodb.ProjectionType.ALL,
            )
        return made

    def _key(self) -> secretsmanager.Secret:
        """What salts and the programs' keys are derived from: lost, nothing that was signed is taken."""
        key = generated_secret(self, "Key", removal_policy=self._removal)
        accept(
            key,
            "AwsSolutions-SMG4",
            "A new one would void all that was signed; a program gets a new key by key_version.",
        )
        return key

    def _failed_events(self) -> s3.Bucket:
        bucket = self._bucket(
            "FailedEvents",
            kept_days=self._profile.failed_events_days,
            logs=self.logs,
            versioned=True,
        )
        bucket.add_metric(id=FAILED_EVENTS_METRICS)
        return bucket

    def _bucket(
        self, id: str, *, kept_days: int, logs: s3.IBucket | None = None, versioned: bool = False
    ) -> s3.Bucket:
        return s3.Bucket(
            self,
            id,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            versioned=versioned,
            server_access_logs_bucket=logs,
            server_access_logs_prefix=f"s3/{id}/" if logs else None,
            lifecycle_rules=[_expiry(kept_days)],
            removal_policy=self._removal,
        )


def removal_policy(profile: profiles.Storage) -> RemovalPolicy:
    """Of everything that holds data."""
    return RemovalPolicy.RETAIN if profile.retain else RemovalPolicy.DESTROY


def grant_table(
    table: dynamodb.ITable, role: iam.IRole, *actions: str, index_name: str | None = None
) -> None:
    """Lets a role do this to a table, or to one index of it. What CDK grants on a table that has an index
    covers every index."""
    resource = f"{table.table_arn}/index/{index_name}" if index_name else table.table_arn
    role.add_to_principal_policy(iam.PolicyStatement(actions=list(actions), resources=[resource]))


def grant_give_up(bucket: s3.IBucket, role: iam.IRole) -> None:
    """Lets a role add objects, and see that the bucket is there, as Lambda asks for a failure destination
    (AWS Lambda Developer Guide, "Retain discarded batch records for a Kinesis Data Streams event source").
    """
    grant_put(bucket, role)
    grant_list(bucket, role)


def grant_list(bucket: s3.IBucket, role: iam.IRole) -> None:
    """Lets a role see what a bucket holds, by name."""
    role.add_to_principal_policy(
        iam.PolicyStatement(actions=["s3:ListBucket"], resources=[bucket.bucket_arn])
    )


def grant_put(bucket: s3.IBucket, role: iam.IRole) -> None:
    """Lets a role add objects."""
    objects = bucket.arn_for_objects("*")
    role.add_to_principal_policy(iam.PolicyStatement(actions=["s3:PutObject"], resources=[objects]))
    stack = Stack.of(bucket)
    exported = stack.resolve(stack.export_value(bucket.bucket_arn))["Fn::ImportValue"]
    accept(
        role,
        f"AwsSolutions-IAM5[Resource::{exported}/*]",
        "Objects are named after the records that failed.",
    )


def _attribute(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)


def _expiry(days: int) -> s3.LifecycleRule:
    return s3.LifecycleRule(
        expiration=Duration.days(days),
        noncurrent_version_expiration=Duration.days(days),
        abort_incomplete_multipart_upload_after=Duration.days(1),
    )
