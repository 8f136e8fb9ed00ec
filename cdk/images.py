"""Where a container's image comes from: built from its Dockerfile, or built already."""

import re
from pathlib import Path

from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from constructs import Construct

ROOT = Path(__file__).resolve().parent.parent
ECR_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/"
    r"(?P<repository>[^:@]+)(?::(?P<tag>[^@]+)|@(?P<digest>sha256:[0-9a-f]{64}))"
)


def container_image(scope: Construct, *, dockerfile: str, prebuilt: str) -> ecs.ContainerImage:
    """`prebuilt`, or where it is empty an image that the deployment builds from the repository's root.

    One from ECR may be pulled by its tasks. Another registry must be open to all, and within reach.
    """
    if not prebuilt:
        return ecs.ContainerImage.from_asset(
            str(ROOT), file=dockerfile, platform=ecr_assets.Platform.LINUX_ARM64
        )
    known = ECR_IMAGE.fullmatch(prebuilt)
    if not known:
        return ecs.ContainerImage.from_registry(prebuilt)
    repository = ecr.Repository.from_repository_attributes(
        scope,
        "Repository",
        repository_name=known["repository"],
        repository_arn=f"arn:aws:ecr:{known['region']}:{known['account']}:repository/{known['repository']}",
    )
    return ecs.ContainerImage.from_ecr_repository(repository, tag=known["tag"] or known["digest"])
