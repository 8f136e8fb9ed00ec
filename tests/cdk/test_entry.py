import json
import os
import subprocess
import sys


def run(context: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """`python -m cdk`, as the CDK command line runs it."""
    variables = os.environ | {"CDK_CONTEXT_JSON": json.dumps(context)}
    return subprocess.run(
        [sys.executable, "-m", "cdk"], env=variables, capture_output=True, text=True, check=False
    )


def test_a_context_that_is_not_right_is_one_line_and_no_traceback() -> None:
    ended = run({"tracker.taskMax": "3"})

    assert ended.returncode == 2
    assert ended.stderr == "cdk: unknown key 'tracker.taskMax'; did you mean tracker.tasksMax?\n"
