"""Secrets that AWS makes up and keeps: nobody types them, and no template has them."""

from aws_cdk import RemovalPolicy
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

LENGTH = 64


def generated_secret(
    scope: Construct, id: str, *, removal_policy: RemovalPolicy = RemovalPolicy.DESTROY
) -> secretsmanager.Secret:
    """Letters and digits, which pass through URLs and headers as they are."""
    return secretsmanager.Secret(
        scope,
        id,
        generate_secret_string=secretsmanager.SecretStringGenerator(
            exclude_punctuation=True, password_length=LENGTH
        ),
        removal_policy=removal_policy,
    )
