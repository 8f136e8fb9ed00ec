"""The environment of each service: its settings struct, filled from the configuration."""

from collections import ChainMap
from collections.abc import Mapping
from secrets import token_hex

from msgspec import Struct

from cdk.config import Config, EventSource
from cdk.local.ports import HOST
from cdk.local.resources import CREDENTIALS
from lambdas.settings import PersistSettings, RefreshSettings
from schemas.settings import load, to_environment
from tracker.settings import TrackerSettings
from workers.settings import HostSettings, WorkerSettings

Variables = Mapping[str, str]
REFRESH_POLL = {"LAMBDA_POLL_INTERVAL_MS": "50"}
"""About as late as enhanced fan-out delivers on AWS. For one shard only: a read takes MiniStack about as long
as a write.
"""
WORKER_PACE = {
    "WORKER_POLL_INTERVAL_MS": "400",
    "WORKER_FLUSH_INTERVAL_MS": "100",
    "WORKER_COMMIT_INTERVAL_MS": "1000",
    "WORKER_FAILOVER_MS": "5000",
    "WORKER_FAILURES_MS": "2000",
}
"""What agents find is seen within a second, and what a killed worker held goes on within a few."""
INHERITED = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR")
"""Nothing else of the caller's shell leaks in: no AWS profile, no proxy, no stray table name."""


class Addresses(Struct, frozen=True, kw_only=True):
    """Where the stand-ins are. Kinesis and DynamoDB have their own, so that one can be cut alone."""

    redis_url: str
    aws_url: str
    kinesis_url: str
    dynamodb_url: str


class Environments:
    """Makes environments from the caller's variables, a configuration and the addresses.

    What the configuration and addresses decide wins; a service's other settings (`TRACKER_ACK`,
    `LOG_LEVEL`, ...) are taken from the caller. A secret is made up where none is given, one for all
    the trackers. Raises SettingsError for a bad value among them.
    """

    def __init__(self, given: Variables, config: Config, addresses: Addresses) -> None:
        self.base = {name: given[name] for name in INHERITED if name in given} | {"PYTHONUNBUFFERED": "1"}
        self._given = {**given, "TRACKER_SECRET": given.get("TRACKER_SECRET") or token_hex()}
        self._config = config
        self._names = _names(config, addresses)
        self._aws = CREDENTIALS | {
            "AWS_ENDPOINT_URL": addresses.aws_url,
            "AWS_ENDPOINT_URL_KINESIS": addresses.kinesis_url,
            "AWS_ENDPOINT_URL_DYNAMODB": addresses.dynamodb_url,
        }

    def tracker(self, port: int) -> dict[str, str]:
        return self._of([TrackerSettings], {"HOST": HOST, "PORT": str(port)})

    def persist(self) -> dict[str, str]:
        return self._of([HostSettings, PersistSettings], _host_variables(self._config.persist_source))

    def refresh(self) -> dict[str, str]:
        own = _host_variables(self._config.refresh_source) | REFRESH_POLL
        return self._of([HostSettings, RefreshSettings], own)

    def workers(self) -> dict[str, str]:
        return self._of([WorkerSettings], WORKER_PACE)

    def commands(self) -> dict[str, str]:
        """Of the workers' command line, whichever command it is."""
        return self._names | self.workers()

    def _of(self, kinds: list[type[Struct]], own: Variables) -> dict[str, str]:
        variables = {**self._given, **self._names, **own}
        settings = [to_environment(load(kind, variables)) for kind in kinds]
        return {**self.base, **self._aws, **ChainMap(*settings)}


def _names(config: Config, addresses: Addresses) -> dict[str, str]:
    return {
        "AWS_REGION": config.region,
        "EVENT_STREAM": config.event_stream.name,
        "UPDATE_STREAM": config.update_stream.name,
        "EVENTS_TABLE": config.events.name,
        "TOTALS_TABLE": config.totals.name,
        "PROGRAMS_TABLE": config.programs.name,
        "TOUCH_STREAM": config.touch_stream.name,
        "MATCHES_TABLE": config.matches.name,
        "LEASES_TABLE": config.leases.name,
        "STATE_TABLE": config.state.name,
        "FAILED_EVENTS_BUCKET": config.failed_events_bucket,
        "LAMBDA_FAILURE_BUCKET": config.failed_events_bucket,
        "REDIS_URL": addresses.redis_url,
        "REDIS_CHANNEL": config.redis_channel,
    }


def _host_variables(source: EventSource) -> dict[str, str]:
    return {
        "LAMBDA_BATCH_SIZE": str(source.batch_size),
        "LAMBDA_BATCHING_WINDOW_MS": str(source.batching_window_ms),
        "LAMBDA_BISECT": str(source.bisect).lower(),
        "LAMBDA_MAXIMUM_RECORD_AGE_S": str(source.maximum_record_age_s),
        "LAMBDA_MAXIMUM_RETRY_ATTEMPTS": str(source.maximum_retry_attempts),
    }
