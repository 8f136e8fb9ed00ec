from pathlib import Path

import pytest

from tests.load.__main__ import main
from tests.load.arguments import parse_arguments, plan_fields
from tests.load.verify import EVENTS_MAX

NOWHERE = "http://127.0.0.1:1"


def test_only_what_is_asked_for_is_told_and_the_rest_has_its_defaults() -> None:
    asked = parse_arguments(["--rate", "20", "--batch", "1,10", "--mix", "view=3,click=1"])

    assert plan_fields(parse_arguments([])) == {}
    assert plan_fields(parse_arguments(["--saturate"])) == {"rate_per_s": None}
    assert plan_fields(asked) == {
        "rate_per_s": 20.0,
        "batch_sizes": (1, 10),
        "mix": {"view": 3, "click": 1},
    }


@pytest.mark.parametrize("wrong", [["--batch", "1,x"], ["--mix", "view"], ["--rate", "1", "--saturate"]])
def test_what_cannot_be_read_ends_with_usage(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse_arguments(wrong)

    assert wrong[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([], "Start it with `make run`"),
        (["--tracker", NOWHERE, "--verify"], "of a system that runs on this machine"),
        (["--tracker", NOWHERE, "--events", str(EVENTS_MAX + 1), "--verify"], f"{EVENTS_MAX:,} events"),
        (["--tracker", "http://192.0.2.1"], "--allow-remote"),
        (["--tracker", NOWHERE, "--processes", "33"], "$.processes"),
        (["--tracker", NOWHERE], f"No tracker answers at {NOWHERE}"),
        (["--tracker", NOWHERE, "--own-programs", "10001"], "10,000 programs"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    asked: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*asked, "--run-dir", str(tmp_path)]) == 1

    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
