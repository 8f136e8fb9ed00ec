"""Lambda `refresh`: the update stream into the programs table, then into Redis, in order."""

import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from threading import Lock
from typing import Any, Protocol, assert_never

import msgspec
from redis import Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from lambdas.batch import (
    DEPENDENCY_ERRORS,
    Answer,
    Bucket,
    FailedEvents,
    LateBucket,
    Poison,
    Record,
    answer,
    decode_batch,
)
from lambdas.calls import aws_client
from lambdas.programs import Programs, ProgramsTable
from lambdas.reports import Reports
from lambdas.settings import RefreshSettings
from schemas.errors import UpdateError
from schemas.logs import use_format
from schemas.redis import (
    PROGRAM_KEYS,
    PUBLISH_HEALTH,
    PUBLISH_IF_NEWER,
    Change,
    HealthChange,
    lag_change,
    program_change,
    purge_change,
    tombstone_change,
    totals_change,
)
from schemas.settings import load
from schemas.updates import (
    BudgetReached,
    CachePurged,
    ConversionMatched,
    CoreDataUpdate,
    FunctionReported,
    ProgramChanged,
    ProgramDeleted,
    ProgramTotals,
    Update,
    VisitorFlagged,
    decode_update,
)

REDIS_TIMEOUT_S = 2.0
REDIS_RETRIES = 2
KEYS_PER_SCAN = 1000

log = logging.getLogger(__name__)
_starting = Lock()
"""A host invokes the function for several shards at once, from its very first invocation on."""


class Cache(Protocol):
    """What `refresh` does to Redis. Raises RedisError when it is out of reach."""

    def publish(self, change: Change) -> None:
        """Sets the record and tells subscribers, unless the record is as new or newer."""

    def tell(self, change: HealthChange) -> None:
        """Keeps what is said of health and tells subscribers."""

    def forget_programs(self) -> None:
        """Removes every program record."""


class RedisCache:
    """The Cache in Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._publish_if_newer = redis.register_script(PUBLISH_IF_NEWER)
        self._publish_health = redis.register_script(PUBLISH_HEALTH)

    def publish(self, change: Change) -> None:
        self._publish_if_newer(keys=change.keys, args=change.args)

    def tell(self, change: HealthChange) -> None:
        self._publish_health(keys=change.keys, args=change.args)

    def forget_programs(self) -> None:
        cursor = None
        while cursor != 0:
            cursor, keys = self._redis.scan(cursor or 0, match=PROGRAM_KEYS, count=KEYS_PER_SCAN)
            if keys:
                self._redis.unlink(*keys)


class Refresh:
    """Applies batches of the update stream. Any order and repetition of updates ends the same:

    1. Decode every record. What does not decode is poison; it is set aside when its turn comes.
    2. Of a program's totals only the newest in the batch is applied: they are absolute.
    3. A writer's change goes into DynamoDB unless the table holds one of this version or newer; a fact,
       unless it is known (lambdas/programs.py).
    4. What DynamoDB now holds, be it newer, goes to Redis and its subscribers, unless Redis holds this
       version or a newer one. So a retry after a kill between 3 and 4 still publishes.
    5. The first record that a dependency does not take ends the batch and is the answer. Where all are
       applied, Redis is told how far behind this is.
    """

    def __init__(
        self,
        *,
        dynamodb: ProgramsTable,
        cache: Cache,
        s3: Bucket,
        settings: RefreshSettings,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._programs = Programs(dynamodb, settings.programs_table, clock_ms)
        self._cache = cache
        self._failed = FailedEvents(s3, settings.failed_events_bucket)
        self._channel = settings.redis_channel
        self.reports = Reports(settings, "refresh")

    def apply(self, records: Sequence[Record]) -> Record | None:
        """Returns the first record that is not applied, None when all are. Idempotent."""
        first = self._applied(records)
        if first is None and records:
            self._tell_lag(records)
        return first

    def _applied(self, records: Sequence[Record]) -> Record | None:
        decoded = [(record, _decode(record)) for record in records]
        newest = newest_totals(update for _, update in decoded)
        for record, update in decoded:
            if isinstance(update, ProgramTotals) and update is not newest[update.program_id]:
                continue
            try:
                self._apply(record, update)
            except (*DEPENDENCY_ERRORS, RedisError) as error:
                log.warning("%s:%s is not applied: %s", record.shard_id, record.sequence_number, error)
                return record
        return None

    def _apply(self, record: Record, update: Update | UpdateError) -> None:
        match update:
            case ProgramChanged() | ProgramDeleted() | BudgetReached() | VisitorFlagged():
                self._hold(update)
            case ProgramTotals(program_id=program_id, totals=totals):
                self._cache.publish(totals_change(self._channel, program_id, totals))
            case CachePurged(version=version):
                self._cache.forget_programs()
                self._cache.publish(purge_change(self._channel, version))
            case FunctionReported(lag=lag):
                self._cache.tell(lag_change(self._channel, lag))
            case ConversionMatched():
                """No core data: it is for others that read the stream."""
            case UpdateError():
                self._failed.set_aside(Poison(record, update, record.data))
            case _:
                assert_never(update)

    def _tell_lag(self, records: Sequence[Record]) -> None:
        try:
            self._cache.tell(lag_change(self._channel, self.reports.lag(records)))
        except RedisError as error:
            log.warning("nobody is told how far behind this is: %s", error)

    def _hold(self, update: CoreDataUpdate) -> None:
        held = self._programs.apply(update)
        if held.program is None:
            self._cache.publish(tombstone_change(self._channel, update.key, held.version))
        else:
            self._cache.publish(program_change(self._channel, held.program))


def newest_totals(updates: Iterable[Update | UpdateError]) -> dict[str, ProgramTotals]:
    """For each program the totals that count the most events."""
    newest: dict[str, ProgramTotals] = {}
    for update in updates:
        if isinstance(update, ProgramTotals):
            held = newest.setdefault(update.program_id, update)
            if update.totals.stored > held.totals.stored:
                newest[update.program_id] = update
    return newest


def handler(event: dict[str, Any], context: object) -> Answer:
    """Takes a Kinesis batch, answers with the sequence number to retry from, if any."""
    with _starting:
        refresh = compose()
    records = decode_batch(event)
    return answer(refresh.reports.batch(records, refresh.apply(records)))


@cache
def compose() -> Refresh:
    """One for the life of the Lambda environment, so that connections stay open between batches."""
    settings = load(RefreshSettings, os.environ)
    logging.getLogger("lambdas").setLevel(settings.log_level)
    use_format(settings.log_format)
    dynamodb = aws_client("dynamodb", settings.region)
    s3 = LateBucket(partial(aws_client, "s3", settings.region))
    redis_cache = RedisCache(redis_client(with_password(settings).redis_url))
    return Refresh(dynamodb=dynamodb, cache=redis_cache, s3=s3, settings=settings)


def with_password(settings: RefreshSettings) -> RefreshSettings:
    """The settings with the password that their secret holds, where they name one."""
    if not settings.redis_secret:
        return settings
    secrets = aws_client("secretsmanager", settings.region)
    secret = secrets.get_secret_value(SecretId=settings.redis_secret)
    return msgspec.structs.replace(settings, redis_password=secret["SecretString"])


def redis_client(url: str, *, timeout_s: float = REDIS_TIMEOUT_S) -> Redis:
    """Fails within seconds when Redis is dead, so that the batch is answered for and not timed out."""
    retry = Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), REDIS_RETRIES)
    return Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=retry)


def _decode(record: Record) -> Update | UpdateError:
    try:
        return decode_update(record.data)
    except UpdateError as error:
        return error
