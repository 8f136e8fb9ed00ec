import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cdk.assets import LAMBDA, ROOT
from tests.cdk.dockerfile import Images, Stage, instructions
from tests.system.conftest import until

SERVICES = ("tracker", "workers")
HADOLINT = Path(sys.executable).parent / "hadolint"
SETTINGS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "REDIS_URL": "redis://127.0.0.1:1",
    "EVENT_STREAM": "events",
    "UPDATE_STREAM": "updates",
    "EVENTS_TABLE": "events",
    "PROGRAMS_TABLE": "programs",
    "TOTALS_TABLE": "totals",
    "TRACKER_DRAIN_DELAY_MS": "0",
}
"""Nothing is there: a task starts all the same, and is alive."""
HEALTHY_TIMEOUT_S = 60


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    return Images(ROOT, tmp_path_factory.mktemp("images"))


def pins(lock: Path) -> set[str]:
    return {line.split()[0] for line in lock.read_text().splitlines() if "==" in line}


def snapshot(stage: Stage) -> dict[Path, int]:
    return {each: each.stat().st_mtime_ns for each in stage.root.rglob("*")}


def final_stage(service: str) -> dict[str, str]:
    """The instructions that describe the image itself, by name."""
    text = (ROOT / service / "Dockerfile").read_text()
    return dict(instructions(text[text.rindex("\nFROM ") :]))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("service", SERVICES)
def test_a_dockerfile_is_free_of_findings(service: str) -> None:
    linting = subprocess.run(
        [HADOLINT, "--no-color", ROOT / service / "Dockerfile"], capture_output=True, text=True
    )

    assert (linting.returncode, linting.stdout) == (0, "")


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_runs_as_nobody_and_says_how_it_is(service: str) -> None:
    image = final_stage(service)
    user, _, group = image["USER"].partition(":")

    assert int(user) > 0 and int(group) > 0
    assert image["ENTRYPOINT"] == f'["python", "-m", "{service}"]'
    assert "CMD [" in image["HEALTHCHECK"]
    assert "RUN" not in image


@pytest.mark.parametrize("place", [*SERVICES, "cdk/local"])
def test_what_is_installed_apart_is_what_was_tested(place: str) -> None:
    assert pins(ROOT / place / "requirements.lock") <= pins(ROOT / "requirements.lock"), "run `make lock`"


def test_every_package_of_an_image_has_a_wheel_for_arm64(tmp_path: Path) -> None:
    options = ("--dry-run", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:")
    locks = [f"--requirement={ROOT / service / 'requirements.lock'}" for service in SERVICES]
    pip = [sys.executable, "-m", "pip", "install", *options, *LAMBDA.pip_options]

    subprocess.run([*pip, *locks, "--target", tmp_path], check=True)


def test_the_trackers_image_serves_says_that_it_lives_and_writes_nothing(images: Images) -> None:
    image = images.build(ROOT / "tracker" / "Dockerfile")
    environment = images.environment(image) | SETTINGS | {"PORT": str(free_port())}
    before = snapshot(image)

    def is_healthy() -> bool:
        check = subprocess.run(image.command("HEALTHCHECK"), env=environment, stderr=subprocess.DEVNULL)
        return check.returncode == 0

    assert not is_healthy()
    with subprocess.Popen(image.command("ENTRYPOINT"), cwd=image.workdir, env=environment) as task:
        try:
            until(is_healthy, timeout_s=HEALTHY_TIMEOUT_S)
        finally:
            task.send_signal(signal.SIGTERM)

    assert task.returncode == 0
    assert snapshot(image) == before


def test_the_workers_image_holds_all_that_its_commands_import(images: Images) -> None:
    image = images.build(ROOT / "workers" / "Dockerfile")
    imports = "import workers.__main__, lambdas.persist, lambdas.refresh"

    subprocess.run(["python", "-c", imports], cwd=image.workdir, env=images.environment(image), check=True)
