from collections.abc import Sequence
from itertools import pairwise

import msgspec
import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as NotConnectedError

from lambdas.batch import Record
from lambdas.refresh import Refresh
from lambdas.settings import RefreshSettings
from schemas.dynamodb import PROGRAMS_KEY, Item, program_from_item, program_item, tombstone_item
from schemas.facts import Facts
from schemas.failures import decode_failed
from schemas.health import Lag
from schemas.invalidations import (
    CacheInvalidated,
    Invalidation,
    ProgramInvalidated,
    ReaderReported,
    TotalsPublished,
    decode_invalidation,
)
from schemas.programs import Program, Totals
from schemas.redis import totals_key
from schemas.updates import (
    BudgetReached,
    CachePurged,
    FunctionReported,
    ProgramChanged,
    ProgramDeleted,
    ProgramTotals,
    Update,
    VisitorFlagged,
    encode_update,
)
from tests.factories import NOW_MS, VERSION, applied, program
from tests.lambdas.memory import Killed, MemoryBucket, MemoryCache, MemoryDynamoDB, Steps, client_error
from tests.lambdas.world import Shard
from tests.schemas.test_matches import make_match

ID = "212313"
SETTINGS = RefreshSettings(programs_table="programs", failed_events_bucket="failed")
OLD, NEW, NEWEST = (applied(program(version=version, name=f"version {version}")) for version in (1, 2, 3))


class Site:
    """Everything that `refresh` changes, in memory."""

    def __init__(self) -> None:
        self.steps = Steps()
        self.dynamodb = MemoryDynamoDB(self.steps, {"programs": PROGRAMS_KEY})
        self.cache = MemoryCache(self.steps)
        self.bucket = MemoryBucket(self.steps)
        self.shard = Shard()

    def records(self, *updates: Update) -> list[Record]:
        return [self.shard.record(encode_update(update), key=update.key) for update in updates]

    def apply(self, records: Sequence[Record]) -> Record | None:
        refresh = Refresh(
            dynamodb=self.dynamodb,
            cache=self.cache,
            s3=self.bucket,
            settings=SETTINGS,
            clock_ms=lambda: NOW_MS,
        )
        return refresh.apply(records)

    def deliver(self, *updates: Update) -> None:
        assert self.apply(self.records(*updates)) is None

    @property
    def item(self) -> Item | None:
        return self.dynamodb.tables["programs"].get((ID,))

    @property
    def cached(self) -> tuple[int, Program | None] | None:
        record = self.cache.program(ID)
        if record is None:
            return None
        version, value = record
        return version, msgspec.json.decode(value, type=Program) if value else None

    @property
    def published(self) -> list[Invalidation]:
        return [decode_invalidation(message) for _, message in self.cache.published]

    @property
    def told(self) -> list[Invalidation]:
        """What was said of health."""
        return [decode_invalidation(message) for _, message in self.cache.told]

    def totals(self, program_id: str = ID) -> Totals | None:
        record = self.cache.records.get(totals_key(program_id))
        return None if record is None else msgspec.json.decode(record[1], type=Totals)


@pytest.fixture
def site() -> Site:
    return Site()


def changed(program: Program) -> ProgramInvalidated:
    return ProgramInvalidated(program_id=program.program_id, version=program.version, program=program)


def test_a_change_is_stored_cached_and_published(site: Site) -> None:
    site.deliver(ProgramChanged(program=NEW))

    assert site.item == program_item(NEW)
    assert site.cached == (2, NEW)
    assert site.published == [changed(NEW)]


def test_a_newer_change_replaces_an_older_one(site: Site) -> None:
    site.deliver(ProgramChanged(program=OLD), ProgramChanged(program=NEW))

    assert site.item == program_item(NEW)
    assert site.cached == (2, NEW)
    assert site.published == [changed(OLD), changed(NEW)]


def test_an_older_change_does_nothing(site: Site) -> None:
    site.deliver(ProgramChanged(program=NEW), ProgramChanged(program=OLD))

    assert site.item == program_item(NEW)
    assert site.cached == (2, NEW)
    assert site.published == [changed(NEW)]


def test_the_same_change_again_publishes_nothing(site: Site) -> None:
    site.deliver(ProgramChanged(program=NEW), ProgramChanged(program=NEW))

    assert site.published == [changed(NEW)]


def test_a_deleted_program_leaves_a_tombstone(site: Site) -> None:
    site.deliver(ProgramChanged(program=OLD), ProgramDeleted(program_id=ID, version=2))

    assert site.item == tombstone_item(ID, 2, written_version=2)
    assert site.cached == (2, None)
    assert site.published[-1] == ProgramInvalidated(program_id=ID, version=2, program=None)


def test_a_late_change_does_not_revive_a_deleted_program(site: Site) -> None:
    site.deliver(ProgramDeleted(program_id=ID, version=2), ProgramChanged(program=OLD))

    assert site.item == tombstone_item(ID, 2, written_version=2)
    assert site.cached == (2, None)


def test_a_newer_change_revives_a_deleted_program(site: Site) -> None:
    site.deliver(ProgramDeleted(program_id=ID, version=2), ProgramChanged(program=NEWEST))

    assert site.cached == (3, NEWEST)


def test_a_late_delete_does_nothing(site: Site) -> None:
    site.deliver(ProgramChanged(program=NEWEST), ProgramDeleted(program_id=ID, version=2))

    assert site.item == program_item(NEWEST)
    assert site.cached == (3, NEWEST)


def test_an_older_change_brings_the_newest_back_to_an_emptied_cache(site: Site) -> None:
    site.deliver(ProgramChanged(program=NEW))
    site.cache.records.clear()

    site.deliver(ProgramChanged(program=OLD))

    assert site.cached == (2, NEW)


def test_an_older_change_brings_the_tombstone_back_to_an_emptied_cache(site: Site) -> None:
    site.deliver(ProgramDeleted(program_id=ID, version=2))
    site.cache.records.clear()

    site.deliver(ProgramChanged(program=OLD))

    assert site.cached == (2, None)


@pytest.mark.parametrize("step", range(6))
def test_killed_at_any_step_then_retried(site: Site, step: int) -> None:
    records = site.records(ProgramChanged(program=NEW))
    site.steps.kill_at(step)
    with pytest.raises(Killed):
        site.apply(records)

    site.steps.hook = lambda step: None
    assert site.apply(records) is None

    assert site.item == program_item(NEW)
    assert site.cached == (2, NEW)
    assert site.published == [changed(NEW)]


def test_the_newest_totals_of_a_batch_are_applied_once(site: Site) -> None:
    totals = [Totals(views=views) for views in (1, 4, 3)]

    site.deliver(*(ProgramTotals(program_id=ID, totals=each) for each in totals))

    assert site.totals() == Totals(views=4)
    assert site.published == [TotalsPublished(program_id=ID, totals=Totals(views=4))]


def test_totals_of_each_program_are_applied(site: Site) -> None:
    site.deliver(
        ProgramTotals(program_id="a", totals=Totals(views=2)),
        ProgramTotals(program_id="b", totals=Totals(views=1)),
        ProgramTotals(program_id="a", totals=Totals(views=2)),
    )

    assert (site.totals("a"), site.totals("b")) == (Totals(views=2), Totals(views=1))
    assert len(site.published) == 2


def test_older_totals_do_nothing(site: Site) -> None:
    site.deliver(ProgramTotals(program_id=ID, totals=Totals(views=2)))
    site.deliver(ProgramTotals(program_id=ID, totals=Totals(clicks=1)))

    assert site.totals() == Totals(views=2)


def test_totals_are_published_on_their_own_channel(site: Site) -> None:
    site.deliver(ProgramTotals(program_id=ID, totals=Totals(views=1)), ProgramChanged(program=NEW))

    assert [channel for channel, _ in site.cache.published] == ["programs:totals", "programs"]


def test_a_purge_forgets_programs_and_nothing_else(site: Site) -> None:
    site.deliver(ProgramChanged(program=NEW), ProgramTotals(program_id=ID, totals=Totals(views=1)))

    site.deliver(CachePurged(version=7))

    assert site.cached is None
    assert site.totals() == Totals(views=1)
    assert site.item == program_item(NEW)
    assert site.published[-1] == CacheInvalidated(version=7)


def test_a_purge_again_is_published_once(site: Site) -> None:
    site.deliver(CachePurged(version=7), CachePurged(version=7))

    assert site.published == [CacheInvalidated(version=7)]


def test_a_match_is_for_others_and_changes_nothing(site: Site) -> None:
    site.deliver(make_match(), ProgramChanged(program=NEW))

    assert [channel for channel, _ in site.cache.published] == ["programs"]
    assert site.bucket.objects == {}


@pytest.mark.parametrize(
    "data", [b"", b"{", b'{"type":"program_renamed"}', b'{"type":"cache_purged","version":-1}', b"\xff"]
)
def test_what_is_no_update_is_set_aside_and_its_neighbours_pass(site: Site, data: bytes) -> None:
    (before, after) = site.records(ProgramChanged(program=OLD), ProgramChanged(program=NEW))
    poison = site.shard.record(data, key="key-9")

    assert site.apply([before, poison, after]) is None

    (failed,) = (decode_failed(body) for body in site.bucket.objects.values())
    assert (failed.payload, failed.reason, failed.partition_key) == (data, "bad_update", "key-9")
    assert failed.sequence_number == poison.sequence_number
    assert site.cached == (2, NEW)


FAULTS = {
    "get_item": [client_error("ThrottlingException")],
    "put_item": [client_error("ThrottlingException"), EndpointConnectionError(endpoint_url="http://aws")],
    "publish": [NotConnectedError("down")],
    "forget_programs": [NotConnectedError("down")],
    "put_object": [client_error("SlowDown")],
}


@pytest.mark.parametrize(
    ("operation", "error"), [(name, error) for name, errors in FAULTS.items() for error in errors], ids=repr
)
def test_the_first_record_that_a_dependency_does_not_take_is_the_answer(
    site: Site, operation: str, error: Exception
) -> None:
    site.deliver(ProgramChanged(program=OLD))
    poison = site.shard.record(b"poison")
    purge, change = site.records(CachePurged(version=7), ProgramChanged(program=NEW))
    site.steps.faults[operation].append(error)
    batch = [poison, purge, change]
    failing = {
        "get_item": change,
        "put_item": change,
        "publish": purge,
        "forget_programs": purge,
        "put_object": poison,
    }

    first = site.apply(batch)

    assert first == failing[operation]
    assert site.apply(batch[batch.index(first) :]) is None
    assert site.cached == (2, NEW)
    assert site.item == program_item(NEW)
    assert len(site.bucket.objects) == 1


def test_nothing_behind_a_failed_record_is_applied(site: Site) -> None:
    batch = site.records(ProgramChanged(program=OLD), ProgramChanged(program=NEW))
    site.steps.faults["publish"].append(NotConnectedError("down"))

    assert site.apply(batch) == batch[0]

    assert site.item == program_item(OLD)
    assert site.cached is None


def test_totals_superseded_behind_a_failed_record_are_applied_by_the_retry(site: Site) -> None:
    batch = site.records(
        ProgramTotals(program_id=ID, totals=Totals(views=1)),
        ProgramChanged(program=NEW),
        ProgramTotals(program_id=ID, totals=Totals(views=2)),
    )
    site.steps.faults["put_item"].append(client_error("ThrottlingException"))

    assert site.apply(batch) == batch[1]
    assert site.apply(batch[1:]) is None

    assert site.totals() == Totals(views=2)


def test_a_bug_is_not_taken_for_an_outage(site: Site) -> None:
    site.steps.faults["publish"].append(KeyError("a bug"))

    with pytest.raises(KeyError):
        site.deliver(ProgramChanged(program=NEW))


def test_a_fact_is_stored_cached_and_published(site: Site) -> None:
    site.deliver(ProgramChanged(program=program(version=1, budget=5)))

    site.deliver(BudgetReached(program_id=ID, counted=5), BudgetReached(program_id=ID, counted=5))

    spent = program(version=VERSION, written_version=1, budget=5, budget_spent=True)
    assert site.item == program_item(spent, counted=5)
    assert site.cached == (VERSION, spent)
    assert site.published[1:] == [changed(spent)]


def test_a_fact_about_a_program_that_nobody_wrote_is_a_tombstone(site: Site) -> None:
    site.deliver(BudgetReached(program_id=ID, counted=5))

    assert site.cached == (VERSION, None)
    assert site.published == [ProgramInvalidated(program_id=ID, version=VERSION, program=None)]


def test_a_fact_killed_before_it_is_published_is_published_by_the_retry(site: Site) -> None:
    site.deliver(ProgramChanged(program=NEW))
    records = site.records(VisitorFlagged(program_id=ID, visitor="v", until_ms=2**52, clicks=100))
    site.steps.kill_at(site.steps.seen.index("before publish"))
    with pytest.raises(Killed):
        site.apply(records)

    site.steps.hook = lambda step: None
    assert site.apply(records) is None

    flagged = program(version=VERSION, written_version=2, name="version 2", flagged={"v": 2**52})
    assert site.cached == (VERSION, flagged)


VERSIONS = range(1, 7)
updates: list[Update] = [
    ProgramDeleted(program_id=ID, version=version)
    if version % 3 == 0
    else ProgramChanged(program=program(version=version, name=f"version {version}"))
    for version in VERSIONS
]
updates += [ProgramTotals(program_id=ID, totals=Totals(views=views, clicks=1)) for views in VERSIONS]
updates += [BudgetReached(program_id=ID, counted=counted) for counted in VERSIONS]
updates += [
    VisitorFlagged(program_id=ID, visitor=visitor, until_ms=2**52 + later, clicks=100)
    for visitor, later in (("a", 1), ("a", 2), ("b", 1))
]
FACTS = Facts(counted=6, flagged={"a": 2**52 + 2, "b": 2**52 + 1})


@given(
    order=st.lists(st.sampled_from(updates), max_size=12).flatmap(
        lambda some: st.permutations([*some, *updates])
    ),
    cuts=st.lists(st.integers(0, 24), max_size=4).map(sorted),
    kills=st.lists(st.integers(0, 20), max_size=4),
)
def test_any_order_repetition_and_kill_ends_the_same(
    order: list[Update], cuts: list[int], kills: list[int]
) -> None:
    site = Site()
    records = site.records(*order)

    for start, end in pairwise([0, *cuts, len(records)]):
        for step in kills:
            site.steps.kill_at(step)
            try:
                site.apply(records[start:end])
            except Killed:
                site.steps.hook = lambda step: None
        site.steps.hook = lambda step: None
        assert site.apply(records[start:end]) is None

    assert site.item is not None
    version = program_from_item(site.item).version
    assert site.item == tombstone_item(ID, version, written_version=6, facts=FACTS)
    assert site.cached == (version, None)
    assert site.totals() == Totals(views=6, clicks=1)
    assert_versions_grow(site.published)


def assert_versions_grow(published: Sequence[Invalidation]) -> None:
    versions = [each.version for each in published if isinstance(each, ProgramInvalidated)]
    stored = [each.totals.stored for each in published if isinstance(each, TotalsPublished)]
    assert versions == sorted(set(versions))
    assert stored == sorted(set(stored))


def test_subscribers_are_told_how_far_behind_persist_is_and_then_how_far_this_is(site: Site) -> None:
    behind = Lag(reader="persist", stream="events", shard_id="shardId-7", lag_ms=120, at_ms=NOW_MS)

    site.deliver(FunctionReported(lag=behind))

    first, own = site.told
    assert first == ReaderReported(lag=behind)
    assert isinstance(own, ReaderReported)
    assert (own.lag.reader, own.lag.stream, own.lag.shard_id) == ("refresh", "stream", site.shard.shard_id)
    assert {channel for channel, _ in site.cache.told} == {"programs:health"}


def test_what_persist_says_is_kept_until_redis_takes_it(site: Site) -> None:
    lag = Lag(reader="persist", stream="events", shard_id="shardId-7", lag_ms=120, at_ms=NOW_MS)
    records = site.records(FunctionReported(lag=lag))
    site.steps.faults["tell"] = [NotConnectedError("down")]

    assert site.apply(records) is records[0]


def test_a_batch_is_applied_though_nobody_can_be_told_how_far_behind_this_is(site: Site) -> None:
    site.steps.faults["tell"] = [NotConnectedError("down")]

    site.deliver(ProgramChanged(program=NEW))

    assert site.cached == (2, NEW)
    assert site.told == []
