import json
from pathlib import Path

import pytest

from cdk.outputs import main, welcome
from schemas.errors import SettingsError
from tests.cdk.templates import Assembly

OUTPUTS = {
    "tracker-data": {"EventStream": "events"},
    "tracker-services": {
        "LoadBalancerDNS": "lb.example.com",
        "Endpoint": "http://lb.example.com",
        "AdminTokenSecret": "arn:aws:secretsmanager:us-east-1:123456789012:secret:token",
    },
}


def test_a_deployment_ends_with_where_it_is_and_what_to_try(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps(OUTPUTS))

    assert main([str(file)]) == 0

    printed = capsys.readouterr().out
    assert "The tracker is at http://lb.example.com\n" in printed
    assert 'curl -H "Authorization: Bearer $ADMIN_TOKEN" http://lb.example.com/cache/fill\n' in printed
    assert "curl http://lb.example.com/event/212313\n" in printed
    assert "--secret-id arn:aws:secretsmanager:us-east-1:123456789012:secret:token " in printed


def test_the_services_say_what_the_last_lines_need(assembly: Assembly) -> None:
    given = {stack: template.get("Outputs", {}) for stack, template in assembly.templates.items()}

    assert given["services"].keys() >= {"LoadBalancerDNS", *OUTPUTS["tracker-services"]}
    assert {"EventStream", "UpdateStream", "EventsTable", "ProgramsTable"} <= given["data"].keys()


def test_without_services_there_is_nothing_to_try() -> None:
    with pytest.raises(SettingsError):
        welcome({"tracker-data": {}})
