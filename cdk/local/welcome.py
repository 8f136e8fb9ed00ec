"""The lines that say that the stack is ready, and what to try first."""

from pathlib import Path
from urllib.parse import urlsplit

from cdk.local.settings import LocalSettings
from cdk.local.stack_file import STACK_FILE, StackFile

SAMPLE_PROGRAM = "212313"
TEXT = """\
Ready in {took_s:.1f} s.

  live      {first_url}/live
  trackers  {trackers}
  Redis     {redis_url}
  AWS       {aws_url}  (Kinesis, DynamoDB, S3; any credentials)

  {fill}
  curl {first}/event/{program}
  {load}

Logs are in {logs}, addresses in {stack_file}. Ctrl-C stops everything."""


def welcome(stack: StackFile, settings: LocalSettings, run_dir: Path, *, took_s: float) -> str:
    return TEXT.format(
        took_s=took_s,
        first_url=_named(stack.trackers[0]),
        trackers="  ".join(_named(url) for url in stack.trackers),
        redis_url=stack.redis_url,
        aws_url=stack.aws_endpoint_url,
        fill=fill_command(stack.trackers[0], settings),
        first=_curled(stack.trackers[0]),
        program=SAMPLE_PROGRAM,
        load=_load_command(run_dir),
        logs=_short(run_dir / "logs"),
        stack_file=_short(run_dir / STACK_FILE),
    )


def fill_command(tracker_url: str, settings: LocalSettings) -> str:
    """What loads the sample programs. With an admin token, for a shell that has it."""
    token = ' -H "Authorization: Bearer $ADMIN_TOKEN"' if settings.admin_token else ""
    return f"curl{token} {_curled(tracker_url)}/cache/fill"


def _load_command(run_dir: Path) -> str:
    here = _short(run_dir)
    return "make load" if here == ".run" else f'make load ARGS="--run-dir {here}"'


def _named(url: str) -> str:
    return f"http://{_curled(url)}"


def _curled(url: str) -> str:
    return f"localhost:{urlsplit(url).port}"


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
