"""`python -m cdk.outputs FILE`: what a deployment has put up, and what to try first."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from schemas.errors import SettingsError

Outputs = dict[str, dict[str, str]]
"""By stack and name, as `cdk deploy --outputs-file` writes them."""
SAMPLE_PROGRAM = "212313"
TEXT = """
The tracker is at {endpoint}

  ADMIN_TOKEN=$(aws secretsmanager get-secret-value --secret-id {secret} --query SecretString --output text)
  curl -H "Authorization: Bearer $ADMIN_TOKEN" {endpoint}/cache/fill
  curl {endpoint}/event/{program}
"""


class Services(Struct, frozen=True, rename="pascal"):
    """The outputs of the stack of services."""

    endpoint: str
    admin_token_secret: str


def welcome(outputs: Outputs) -> str:
    """The lines after a deployment. Raises SettingsError where the stack of services is not among them."""
    for stack, values in outputs.items():
        if stack.endswith("-services"):
            services = msgspec.convert(values, Services)
            secret = shlex.quote(services.admin_token_secret)
            return TEXT.format(endpoint=services.endpoint, secret=secret, program=SAMPLE_PROGRAM)
    raise SettingsError("no stack of services has been deployed")


def main(arguments: Sequence[str]) -> int:
    print(welcome(msgspec.json.decode(Path(arguments[0]).read_bytes(), type=Outputs)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
