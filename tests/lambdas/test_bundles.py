"""The functions as they are deployed: their bundles, under AWS's runtime interface client."""

from typing import Any

from redis import Redis

from schemas.dynamodb import program_item
from schemas.programs import Totals
from schemas.redis import RECORD_FIELDS, Record, program_key, read_program
from schemas.updates import FunctionReported, ProgramChanged, ProgramTotals, encode_update
from tests.factories import applied, click, program, view
from tests.lambdas.cloud import Cloud, delivered
from tests.lambdas.recorded import RECORDED
from tests.lambdas.runtime import Runtime

APPLIED: dict[str, Any] = {"batchItemFailures": []}


def test_persist_stores_and_counts_from_its_bundle_alone(runtime: Runtime, cloud: Cloud) -> None:
    cloud.put(("key-0", [view(), click()]))

    with runtime.start("persist") as persist:
        outcome = persist.invoke(cloud.batch())

    assert (outcome.kind, outcome.body) == ("response", APPLIED)
    assert len(cloud.items()) == 2
    assert cloud.totals() == Totals(views=1, clicks=1)
    assert [type(each) for each in cloud.relayed()] == [ProgramTotals, FunctionReported]


def test_refresh_applies_a_change_from_its_bundle_alone(runtime: Runtime, cloud: Cloud, redis: Redis) -> None:
    changed = applied(program(name="Autumn sale"))
    update = encode_update(ProgramChanged(program=changed))

    with runtime.start("refresh") as refresh:
        outcome = refresh.invoke({"Records": [delivered(cloud.persist.update_stream, "1", update)]})

    assert (outcome.kind, outcome.body) == ("response", APPLIED)
    assert cloud.program("212313") == program_item(changed)
    held = read_program(redis.hmget(program_key("212313"), RECORD_FIELDS))
    assert held == Record(changed.version, changed)


def test_a_function_answers_one_invocation_after_the_other(runtime: Runtime, cloud: Cloud) -> None:
    cloud.put(("key-0", [view()]))

    with runtime.start("persist") as persist:
        outcomes = [persist.invoke(cloud.batch()) for _ in range(3)]

    assert [each.body for each in outcomes] == [APPLIED] * 3
    assert cloud.totals() == Totals(views=1)


def test_a_recorded_event_that_is_no_frame_is_set_aside(runtime: Runtime, cloud: Cloud) -> None:
    with runtime.start("persist") as persist:
        outcome = persist.invoke(RECORDED)

    assert (outcome.kind, outcome.body) == ("response", APPLIED)
    assert [each.reason for each in cloud.failed().values()] == ["bad_frame"]


def test_a_missing_setting_fails_the_invocation_and_is_named(runtime: Runtime, cloud: Cloud) -> None:
    with runtime.start("persist", EVENTS_TABLE="") as persist:
        outcome = persist.invoke(cloud.batch())

    assert (outcome.kind, outcome.body["errorType"]) == ("error", "SettingsError")
    assert "EVENTS_TABLE" in outcome.body["errorMessage"]


def test_nothing_outside_of_the_bundle_is_found(runtime: Runtime) -> None:
    with runtime.start("refresh", bundle="persist") as refresh:
        outcome = refresh.outcome()

    assert (outcome.kind, outcome.body["errorType"]) == ("init", "Runtime.ImportModuleError")
