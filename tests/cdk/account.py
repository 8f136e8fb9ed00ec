"""An AWS account on this machine: MiniStack, and the CDK command line that deploys to it."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import boto3

from cdk.assets import ROOT

SERVICES = "cloudformation,dynamodb,ec2,ecr,elasticache,iam,kinesis,kms,lambda,logs,s3,secretsmanager,ssm,sts"
BIN = Path(sys.executable).parent
CDK = "node_modules/.bin/cdk"
DEPLOYED = ("tracker-network", "tracker-data", "tracker-cache", "tracker-functions")
"""The others need containers, which MiniStack would run in Docker, and application autoscaling, which it
does not know."""
CONTEXT = (
    "network.egress=endpoints",
    "storage.retain=false",
    "containerImage=example.com/tracker:1",
    "workerImage=example.com/workers:1",
)
"""MiniStack knows no NAT gateway; data goes with its stack; no image is built."""
LOCATION = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}


class Account:
    """Commands run as `make deploy` runs them, with the CLI that package.json pins."""

    def __init__(self, endpoint_url: str, redis_url: str, folder: Path) -> None:
        self._endpoint_url = endpoint_url
        self._redis_url = redis_url
        self._folder = folder
        subprocess.run(["make", "--silent", CDK], cwd=ROOT, check=True)

    def bootstrap(self) -> None:
        self._cdk("bootstrap", f"aws://000000000000/{LOCATION['AWS_REGION']}", "--app", "")

    def synthesise(self, *changes: str) -> Path:
        """The templates with these `key=value` changed, in a directory of their own."""
        assembly = Path(mkdtemp(dir=self._folder))
        options = (option for pair in (*CONTEXT, *changes) for option in ("-c", pair))
        app = f"{sys.executable} -m tests.cdk.trial"
        self._cdk("synth", "--quiet", "--app", app, "--output", str(assembly), *options)
        return assembly

    def deploy(self, assembly: Path) -> str:
        """Returns what the command says."""
        options = ("--require-approval", "never", "--app", str(assembly))
        return self._cdk("deploy", *DEPLOYED, *options)

    def destroy(self, assembly: Path) -> str:
        """Returns what the command says."""
        return self._cdk("destroy", *DEPLOYED, "--force", "--app", str(assembly))

    def outputs(self) -> Mapping[str, str]:
        """Of the stack of data."""
        stacks = self.client("cloudformation").describe_stacks(StackName="tracker-data")["Stacks"]
        return {each["OutputKey"]: each["OutputValue"] for each in stacks[0]["Outputs"]}

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self._endpoint_url,
            region_name=LOCATION["AWS_REGION"],
            aws_access_key_id=LOCATION["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=LOCATION["AWS_SECRET_ACCESS_KEY"],
        )

    def _cdk(self, *arguments: str) -> str:
        places = {
            "AWS_ENDPOINT_URL": self._endpoint_url,
            "AWS_ENDPOINT_URL_S3": self._endpoint_url,
            "TRIAL_REDIS_URL": self._redis_url,
            "JSII_NODE": str(BIN / "node"),
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "CI": "true",
        }
        command = subprocess.run(
            [CDK, *arguments], cwd=ROOT, env=os.environ | LOCATION | places, capture_output=True, text=True
        )
        assert command.returncode == 0, command.stdout + command.stderr
        return command.stdout + command.stderr
