"""The deployment as a whole: its stacks, its review, its lint."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cdk.profiles import PROFILES
from schemas.errors import SettingsError
from tests.cdk.conftest import Synthesis
from tests.cdk.templates import Assembly

STACKS = ["cache", "data", "functions", "monitoring", "network", "services"]
DATA = {
    "AWS::DynamoDB::Table",
    "AWS::Kinesis::Stream",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SecretsManager::Secret",
}
ROOT = Path(__file__).resolve().parents[2]
"""Where .cfnlintrc.yaml is."""


def test_a_deployment_is_six_stacks(assembly: Assembly) -> None:
    assert sorted(assembly.templates) == STACKS


def test_data_has_a_stack_of_its_own(assembly: Assembly) -> None:
    kinds = {each["Type"] for each in assembly.templates["data"]["Resources"].values()}

    assert kinds == DATA


def test_data_outlives_its_stack(assembly: Assembly) -> None:
    for name, each in assembly.templates["data"]["Resources"].items():
        if each["Type"] != "AWS::S3::BucketPolicy":
            assert (each["DeletionPolicy"], each["UpdateReplacePolicy"]) == ("Retain", "Retain"), name


def test_data_that_need_not_be_kept_goes(synthesise: Synthesis) -> None:
    data = synthesise({"storage.retain": "false"}).templates["data"]["Resources"]

    assert {each.get("DeletionPolicy") for each in data.values()} <= {"Delete", None}


def test_no_resource_of_data_refers_to_code(assembly: Assembly) -> None:
    assert "Fn::ImportValue" not in str(assembly.templates["data"])


def changed(before: Assembly, after: Assembly) -> set[str]:
    return {name for name, template in before.templates.items() if template != after.templates[name]}


def test_a_change_of_code_touches_the_stack_of_that_code_alone(synthesise: Synthesis) -> None:
    before = synthesise({})

    assert changed(before, synthesise({})) == set()
    assert changed(before, synthesise({}, code="changed = True")) == {"functions"}
    assert changed(before, synthesise({"containerImage": "example.com/tracker:2"})) == {"services"}


def test_functions_are_upgraded_before_the_services_that_send_to_them(assembly: Assembly) -> None:
    artifacts = json.loads((assembly.folder / "manifest.json").read_text())["artifacts"]

    assert "tracker-functions" in artifacts["tracker-services"]["dependencies"]


def test_a_larger_redis_touches_the_cache_alone(synthesise: Synthesis) -> None:
    larger = synthesise({"cache.nodeType": "cache.m7g.large"})

    assert changed(synthesise({}), larger) == {"cache"}


def test_cfn_lint_finds_nothing(assemblies: dict[str, Assembly]) -> None:
    paths = [str(path) for each in assemblies.values() for path in each.folder.glob("*.template.json")]
    lint = Path(sys.executable).with_name("cfn-lint")
    found = subprocess.run([lint, *paths], cwd=ROOT, capture_output=True, text=True, check=False)

    assert len(paths) == len(PROFILES) * len(STACKS)
    assert (found.stdout, found.stderr, found.returncode) == ("", "", 0)


def test_the_review_by_cdk_nag_ends_a_synthesis_that_it_finds_something_in(synthesise: Synthesis) -> None:
    from aws_cdk import App, Stack, Validations, aws_s3
    from cdk_nag import AwsSolutionsChecks

    app = App()
    aws_s3.Bucket(Stack(app, "stack"), "Open")
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))

    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()


def test_a_wrong_context_is_named(synthesise: Synthesis) -> None:
    with pytest.raises(SettingsError, match=r"tracker\.taskMax"):
        synthesise({"tracker.taskMax": "3"})
