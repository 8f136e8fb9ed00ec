"""What the workers do where nobody says otherwise, as far as it is paid for."""

from msgspec.structs import fields

from workers.settings import WorkerSettings

_DEFAULTS = {spec.name: spec.default for spec in fields(WorkerSettings)}

DEFAULT_FAILOVER_MS: int = _DEFAULTS["failover_ms"]
DEFAULT_LOOK_INTERVAL_MS: int = _DEFAULTS["look_interval_ms"]
DEFAULT_FAILURES_MS: int = _DEFAULTS["failures_ms"]
DEFAULT_REPORT_MS: int = _DEFAULTS["report_ms"]
