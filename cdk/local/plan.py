"""What one run of the stack has decided before anything starts: its directories, ports and addresses."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from cdk.config import Config
from cdk.local.environment import Addresses, Environments
from cdk.local.ports import HOST, free_ports, tracker_ports
from cdk.local.settings import LocalSettings


class Directories(Struct, frozen=True):
    """Where a stack writes: all of it under one run directory."""

    run: Path

    @property
    def logs(self) -> Path:
        return self.run / "logs"

    @property
    def temporary(self) -> Path:
        return self.run / "tmp"

    @property
    def state(self) -> Path:
        """What lasts from one run with KEEP=1 to the next. Other runs leave it alone."""
        return self.run / "state"

    @property
    def kept_redis(self) -> Path:
        return self.state / "valkey"

    @property
    def kept_aws(self) -> Path:
        return self.state / "ministack"

    def create(self) -> None:
        for directory in (self.logs, self.temporary, self.kept_redis, self.kept_aws):
            directory.mkdir(parents=True, exist_ok=True)


class Plan(Struct, frozen=True, kw_only=True):
    """One run. Its trackers are numbered from 1, in the order of their ports."""

    settings: LocalSettings
    config: Config
    directories: Directories
    environments: Environments
    addresses: Addresses
    redis_port: int
    aws_port: int
    tracker_ports: tuple[int, int]

    @property
    def tracker_urls(self) -> list[str]:
        return [f"http://{HOST}:{port}" for port in self.tracker_ports]


def plan_run(settings: LocalSettings, config: Config, *, run_dir: Path, given: Mapping[str, str]) -> Plan:
    """Picks what is free now. `given` are the caller's variables, for the services' own settings.

    Raises PortTakenError for a tracker port in use.
    """
    free_redis_port, free_aws_port = free_ports(2)
    redis_port, aws_port = settings.redis_port or free_redis_port, settings.aws_port or free_aws_port
    aws_url = f"http://{HOST}:{aws_port}"
    addresses = Addresses(
        redis_url=f"redis://{HOST}:{redis_port}", aws_url=aws_url, kinesis_url=aws_url, dynamodb_url=aws_url
    )
    return Plan(
        settings=settings,
        config=config,
        directories=Directories(run_dir),
        environments=Environments(given, config, _seen(addresses, settings)),
        addresses=addresses,
        redis_port=redis_port,
        aws_port=aws_port,
        tracker_ports=tracker_ports(settings.port),
    )


def _seen(addresses: Addresses, settings: LocalSettings) -> Addresses:
    """The addresses as the system's services see them."""
    return Addresses(
        redis_url=settings.redis_via or addresses.redis_url,
        aws_url=addresses.aws_url,
        kinesis_url=settings.kinesis_via or addresses.kinesis_url,
        dynamodb_url=settings.dynamodb_via or addresses.dynamodb_url,
    )
