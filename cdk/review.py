"""Findings of the review by cdk-nag that stand, each with its reason."""

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct


def accept(construct: IConstruct, finding: str, reason: str) -> None:
    """Lets one finding stand: `AwsSolutions-<rule>`, with `[<what>]` where the rule finds several things."""
    Validations.of(construct).acknowledge(Acknowledgment(id=finding, reason=reason))
