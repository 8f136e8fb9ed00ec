"""`python -m tests.cdk.trial`: the CDK app's stacks, as far as MiniStack can take them.

- The functions' bundles are built for this machine: MiniStack executes them here.
- Resources of the types LEFT_OUT are left out: MiniStack refuses a template that holds one.
- `refresh` is told where Redis is by TRIAL_REDIS_URL: MiniStack describes a replication group, and runs none.
"""

import os
import sys
from functools import partial

from aws_cdk import App, CfnResource
from aws_cdk.aws_lambda import CfnFunction
from constructs import IConstruct

from cdk.app import compose
from cdk.assets import THIS_MACHINE, lambda_bundle
from cdk.profiles import deployment

LEFT_OUT = {"AWS::EC2::FlowLog"}


def main() -> None:
    app = App()
    chosen = deployment(app.node.get_all_context())
    compose(app, chosen, bundle=partial(lambda_bundle, platform=THIS_MACHINE))
    for construct in app.node.find_all():
        adapt(construct)
    app.synth()


def adapt(construct: IConstruct) -> None:
    if isinstance(construct, CfnFunction) and construct.handler == "lambdas.refresh.handler":
        construct.add_property_override("Environment.Variables.REDIS_URL", os.environ["TRIAL_REDIS_URL"])
    if isinstance(construct, CfnResource) and construct.cfn_resource_type in LEFT_OUT:
        print(f"left out: {construct.node.path}", file=sys.stderr)
        parent = construct.node.scope
        assert parent and parent.node.try_remove_child(construct.node.id)


if __name__ == "__main__":
    main()
