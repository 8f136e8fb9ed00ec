"""Each role may do what its code calls, on the things that it calls it for, and nothing else."""

from collections.abc import Iterator

import pytest

from schemas.dynamodb import PLACES_INDEX
from tests.cdk.calls import actions, unknown
from tests.cdk.policies import Statement, allows, statements
from tests.cdk.templates import Assembly

Need = tuple[str, str]
"""An action, and what it is done to."""

ROLES = {
    "Persist": "PersistRole",
    "Refresh": "RefreshRole",
    "Tracker": "TrackerTaskTaskRole",
    "Workers": "WorkersTaskTaskRole",
    "TrackerStart": "TrackerTaskExecutionRole",
    "WorkersStart": "WorkersTaskExecutionRole",
}
ENTRIES = {
    "Persist": ("lambdas.persist",),
    "Refresh": ("lambdas.refresh",),
    "Tracker": ("tracker.__main__",),
    "Workers": ("workers.working",),
}
CALLED: dict[str, set[Need]] = {
    "Persist": {
        ("dynamodb:BatchGetItem", "table Events"),
        ("dynamodb:PartiQLInsert", "table Events"),
        ("dynamodb:PutItem", "table Events"),
        ("dynamodb:Query", "table Events"),
        ("dynamodb:GetItem", "table Totals"),
        ("dynamodb:PutItem", "table Totals"),
        ("dynamodb:Query", "table Totals"),
        ("kinesis:PutRecords", "stream Updates"),
        ("s3:PutObject", "objects FailedEvents"),
    },
    "Refresh": {
        ("dynamodb:GetItem", "table Programs"),
        ("dynamodb:PutItem", "table Programs"),
        ("s3:PutObject", "objects FailedEvents"),
        ("secretsmanager:GetSecretValue", "secret CachePassword"),
    },
    "Tracker": {
        ("dynamodb:GetItem", "table Programs"),
        ("dynamodb:Scan", "table Programs"),
        ("dynamodb:Query", "table Totals"),
        ("dynamodb:GetItem", "table Events"),
        ("dynamodb:Query", "table Events"),
        ("dynamodb:Query", "index Events"),
        ("kinesis:ListShards", "stream Events"),
        ("kinesis:PutRecords", "stream Events"),
        ("kinesis:PutRecords", "stream Updates"),
    },
    "Workers": {
        *(
            (f"kinesis:{action}", f"stream {stream}")
            for action in ("DescribeStreamSummary", "GetRecords", "GetShardIterator", "ListShards")
            for stream in ("Events", "Updates", "Touches")
        ),
        *((f"dynamodb:{action}", "table Leases") for action in ("BatchGetItem", "GetItem", "UpdateItem")),
        *((f"dynamodb:{action}", "table State") for action in ("DeleteItem", "PutItem", "Query")),
        ("dynamodb:PutItem", "table Matches"),
        ("kinesis:PutRecords", "stream Touches"),
        ("kinesis:PutRecords", "stream Updates"),
        ("s3:ListBucket", "bucket FailedEvents"),
        ("s3:PutObject", "objects FailedEvents"),
    },
}
"""What the code does to what."""

INTERFACES = {
    (f"ec2:{action}", "anything")
    for action in (
        "AssignPrivateIpAddresses",
        "CreateNetworkInterface",
        "DeleteNetworkInterface",
        "DescribeNetworkInterfaces",
        "DescribeSubnets",
        "UnassignPrivateIpAddresses",
    )
}
IMAGES = {
    ("ecr:GetAuthorizationToken", "anything"),
    *(
        (f"ecr:{action}", "repository")
        for action in ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
    ),
}


def logging_to(name: str) -> set[Need]:
    return {("logs:CreateLogStream", f"log {name}"), ("logs:PutLogEvents", f"log {name}")}


def fed_by(stream: str) -> set[Need]:
    """What the event source mapping does with the function's role."""
    reads = ("DescribeStream", "DescribeStreamSummary", "GetRecords", "GetShardIterator", "ListShards")
    return {(f"kinesis:{action}", f"stream {stream}") for action in reads} | {
        ("s3:ListBucket", "bucket FailedEvents"),
        ("s3:PutObject", "objects FailedEvents"),
    }


PLATFORM: dict[str, set[Need]] = {
    "Persist": logging_to("PersistLog") | fed_by("Events"),
    "Refresh": logging_to("RefreshLog") | fed_by("Updates") | INTERFACES,
    "Tracker": set(),
    "Workers": set(),
    "TrackerStart": IMAGES
    | logging_to("TrackerLog")
    | {
        (f"secretsmanager:{action}", f"secret {secret}")
        for action in ("DescribeSecret", "GetSecretValue")
        for secret in ("AdminToken", "StorageKey", "CachePassword")
    },
    "WorkersStart": IMAGES
    | logging_to("WorkersLog")
    | {
        (f"secretsmanager:{action}", "secret CachePassword")
        for action in ("DescribeSecret", "GetSecretValue")
    },
}
"""What AWS does in their name, before the code runs and around it."""

NOBODYS = {
    "dynamodb": ("DeleteTable", "PartiQLSelect", "PartiQLDelete", "UpdateTable"),
    "kinesis": ("DeleteStream", "MergeShards", "PutRecord", "SplitShard", "UpdateStreamMode"),
    "s3": ("DeleteBucket", "DeleteObject", "GetObject", "PutBucketPolicy"),
    "secretsmanager": ("DeleteSecret", "PutSecretValue"),
    "logs": ("CreateLogGroup", "DeleteLogGroup", "GetLogEvents"),
    "ecr": ("PutImage",),
    "ec2": ("RunInstances",),
    "iam": ("CreateUser", "PassRole"),
    "sts": ("AssumeRole",),
}
"""Some of what no role of ours has business with."""

KINDS = {
    "table": ("AWS::DynamoDB::Table", ("Events", "Totals", "Programs", "Leases", "State", "Matches")),
    "stream": ("AWS::Kinesis::Stream", ("Events", "Updates", "Touches")),
    "bucket": ("AWS::S3::Bucket", ("FailedEvents", "StorageLogs")),
    "secret": ("AWS::SecretsManager::Secret", ("AdminToken", "StorageKey", "CachePassword")),
    "log": ("AWS::Logs::LogGroup", ("PersistLog", "RefreshLog", "TrackerLog", "WorkersLog")),
}
REPOSITORIES = ("tracker", "workers")


def resources(assembly: Assembly) -> Iterator[tuple[str, str]]:
    """Everything that can be named, and its name in a policy."""
    for kind, (cloudformation, names) in KINDS.items():
        for name in names:
            yield f"{kind} {name}", assembly.logical_id(cloudformation, name)
    for name in KINDS["bucket"][1]:
        yield f"objects {name}", assembly.logical_id("AWS::S3::Bucket", name) + "/some/key.json"
    yield "index Events", f"{assembly.logical_id('AWS::DynamoDB::Table', 'Events')}/index/{PLACES_INDEX}"
    yield "anything", "arn:aws:service:us-east-1:123456789012:whatever"


def repository(name: str) -> str:
    return f"arn:aws:ecr:us-east-1:123456789012:repository/{name}"


def every_action() -> set[str]:
    needs = {action for needs in (*CALLED.values(), *PLATFORM.values()) for action, _ in needs}
    return needs | {f"{service}:{action}" for service, each in NOBODYS.items() for action in each}


@pytest.mark.parametrize("name", ROLES)
def test_a_role_may_do_what_its_code_calls_and_no_more(assembly: Assembly, name: str) -> None:
    policy = statements(assembly, ROLES[name])
    named = dict(resources(assembly)) | {"repository": repository(name.removesuffix("Start").lower())}
    everywhere = {action for action, what in PLATFORM[name] if what == "anything"}

    may = {
        (action, what)
        for action in every_action()
        for what, resource in named.items()
        if allows(assembly, policy, action, resource) and not (action in everywhere and what != "anything")
    }

    assert may == CALLED.get(name, set()) | PLATFORM[name]


@pytest.mark.parametrize("name", ENTRIES)
def test_what_is_said_to_be_called_is_what_the_code_calls(name: str) -> None:
    assert {action for action, _ in CALLED[name]} == actions(*ENTRIES[name])


def test_no_call_of_a_client_is_overlooked() -> None:
    entries = [module for modules in ENTRIES.values() for module in modules]

    assert unknown(*entries) == {"lambdas.refresh: _redis.scan"}


def test_every_role_is_looked_at(assembly: Assembly) -> None:
    ours = {name.partition("/")[2][:-8] for name in assembly.resources("AWS::IAM::Role")}
    looked_at = {role for role in ours if any(role.endswith(each) for each in ROLES.values())}

    assert ours - looked_at == {"NetworkVpcRefusedIAMRole"}


def test_no_role_may_do_all_of_a_service(assembly: Assembly) -> None:
    for role in ROLES.values():
        for statement in statements(assembly, role):
            assert "*" not in str(statement["Action"]), role


def statement_of(assembly: Assembly, name: str) -> list[Statement]:
    """For a test that changes them."""
    return statements(assembly, ROLES[name])
