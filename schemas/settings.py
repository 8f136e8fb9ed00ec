"""Reads a process's settings from its environment, once, into one frozen struct.

Each field's encoded name is its variable, so a struct lists the variables a process takes:

    class Settings(RedisSettings, frozen=True, kw_only=True):
        port: int = field(name="PORT", default=8080)
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Meta, field

from schemas.errors import SettingsError
from schemas.logs import LogFormat

Name = Annotated[str, Meta(min_length=1)]
Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
Port = Annotated[int, Meta(ge=1, le=65_535)]
EventStoreName = Literal["items", "packed"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class AwsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What every process that calls AWS takes. Endpoints (AWS_ENDPOINT_URL, and per service
    AWS_ENDPOINT_URL_KINESIS, AWS_ENDPOINT_URL_DYNAMODB) and credentials the AWS SDK reads itself.
    """

    region: Name = field(name="AWS_REGION", default="us-east-1")
    log_level: LogLevel = field(name="LOG_LEVEL", default="INFO")


class ServiceSettings(AwsSettings, frozen=True, kw_only=True):
    """What everything takes that runs until it is stopped."""

    metrics_namespace: str = field(name="METRICS_NAMESPACE", default="")
    """Under which CloudWatch keeps the metrics that it finds in the log. Empty: none are written there."""
    metrics_interval_ms: Positive = field(name="METRICS_INTERVAL_MS", default=60_000)
    """How often they are written. A function writes them after each batch."""
    log_format: LogFormat = field(name="LOG_FORMAT", default="text")


class RedisSettings(ServiceSettings, frozen=True, kw_only=True):
    """ServiceSettings, and where Redis is: REDIS_URL, or else what the other four say."""

    redis_url_or_empty: str = field(name="REDIS_URL", default="")
    redis_host: Name = field(name="REDIS_HOST", default="127.0.0.1")
    redis_port: Port = field(name="REDIS_PORT", default=6379)
    redis_tls: bool = field(name="REDIS_TLS", default=False)
    redis_password: str = field(name="REDIS_PASSWORD", default="")
    redis_channel: Name = field(name="REDIS_CHANNEL", default="programs")

    @property
    def redis_url(self) -> str:
        return self.redis_url_or_empty or self._url_of_parts

    @property
    def _url_of_parts(self) -> str:
        scheme = "rediss" if self.redis_tls else "redis"
        password = f":{quote(self.redis_password, safe='')}@" if self.redis_password else ""
        return f"{scheme}://{password}{self.redis_host}:{self.redis_port}"


Settings = TypeVar("Settings", bound=msgspec.Struct)


def load(kind: type[Settings], environment: Mapping[str, str]) -> Settings:
    """`kind` decoded from `environment`; an empty variable counts as unset.

    Raises SettingsError naming every variable that is missing or has a bad value.
    """
    given = {name: value for name, value in environment.items() if value}
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        problems = list(_problems(kind, given))
        raise SettingsError("; ".join(problems) or str(error)) from error


def to_environment(settings: msgspec.Struct) -> dict[str, str]:
    """The variables that make `load` return `settings`; those at their defaults are left out."""
    variables = {}
    for spec in msgspec.structs.fields(settings):
        value = getattr(settings, spec.name)
        if value != spec.default:
            variables[spec.encode_name] = str(value).lower() if isinstance(value, bool) else str(value)
    return variables


def _problems(kind: type[msgspec.Struct], given: Mapping[str, str]) -> Iterator[str]:
    for spec in msgspec.structs.fields(kind):
        if spec.encode_name in given:
            try:
                msgspec.convert(given[spec.encode_name], spec.type, strict=False)
            except msgspec.ValidationError as error:
                yield f"{spec.encode_name}={given[spec.encode_name]!r}: {error}"
        elif spec.required:
            yield f"{spec.encode_name} is not set"
