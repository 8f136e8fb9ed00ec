"""What a role may do: its policies, evaluated (AWS IAM User Guide, "Policy evaluation logic").

Enough of it for identity policies of one account: an explicit deny wins, else an allow is needed. Conditions
are not evaluated; a statement with one is refused, so that none slips in.
"""

from fnmatch import fnmatchcase
from typing import Any

from tests.cdk.templates import Assembly

Statement = dict[str, Any]


def statements(assembly: Assembly, role: str) -> list[Statement]:
    """Of the one inline policy of a role, which is named after it. Managed policies are none of ours."""
    made = assembly.one("AWS::IAM::Role", role)
    assert not {"ManagedPolicyArns", "Policies"} & made.keys(), role
    document = assembly.one("AWS::IAM::Policy", f"{role}DefaultPolicy")["PolicyDocument"]
    found: list[Statement] = document["Statement"]
    return found


def allows(assembly: Assembly, policy: list[Statement], action: str, resource: str) -> bool:
    effects = {each["Effect"] for each in policy if _applies(assembly, each, action, resource)}
    return effects == {"Allow"}


def _applies(assembly: Assembly, statement: Statement, action: str, resource: str) -> bool:
    assert statement.keys() <= {"Action", "Effect", "Resource", "Sid"}
    named = (assembly.resolved(each) for each in _listed(statement["Resource"]))
    return any(fnmatchcase(action.lower(), each.lower()) for each in _listed(statement["Action"])) and any(
        fnmatchcase(resource, each) for each in named
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
