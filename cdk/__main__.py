"""`python -m cdk`: what the CDK command line runs to get the templates. Use it by `make synth`."""

import os
import sys
from pathlib import Path

from schemas.errors import TrackerError

NODE = Path(sys.executable).with_name("node")
"""The Node that the lock pins. jsii, on which aws_cdk stands, asks for it as it is imported."""


def main() -> int:
    """Exits 2 where the context is not right or a bundle cannot be built, and says why."""
    os.environ.setdefault("JSII_NODE", str(NODE))
    from aws_cdk import App

    from cdk.app import synthesise
    from cdk.assets import lambda_bundle

    try:
        assembly = synthesise(App(), bundle=lambda_bundle)
    except TrackerError as error:
        print(f"cdk: {error}", file=sys.stderr)
        return 2
    for stack in assembly.stacks:
        print(f"{stack.stack_name}: {len(stack.template['Resources'])} resources", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
