"""What the system finds out about a program, and every tracker answers by."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple
from uuid import uuid4

import httpx

from tests.system.conftest import Stack, until
from workers.settings import AgentSettings

BODY: dict[str, Any] = {"name": "sale", "customerId": 9124, "customerName": "Customer2", "checksum": "124"}
BUDGET = 1_000
EVENTS = 3_000
BATCH = 25
BATCHES_PER_S = 6
"""At each tracker: 300 events a second in all, which two cores take with the whole stack on them."""
LOOK_EVERY_S = 0.05
"""MiniStack answers one call after the other, those of the stack too."""
WITHIN_S = 1.0
PATIENCE_S = 30


class Answered(NamedTuple):
    """What a tracker answered of a batch, and when."""

    at_s: float
    valid: int
    reasons: set[str]


def test_a_spent_budget_is_answered_by_every_tracker_within_a_second_and_totals_stay_exact(
    stack: Stack,
) -> None:
    _until_agents_work(stack)
    program_id = _put(stack, budget=BUDGET)

    with ThreadPoolExecutor() as senders:
        sending = [
            senders.submit(_send, tracker, program_id, batches=EVENTS // BATCH // len(stack.trackers))
            for tracker in stack.trackers
        ]
        stored_s = _last_seen_unspent(stack, program_id)
    answers = [each.result() for each in sending]

    for answered in answers:
        spent_s = next(each.at_s for each in answered if each.reasons)
        assert {reason for each in answered for reason in each.reasons} == {"budget_spent"}
        print(f"{spent_s - stored_s:.2f} s from the thousandth stored event")
        assert spent_s - stored_s < WITHIN_S
        assert all(each.valid == 0 for each in answered if each.at_s > stored_s + WITHIN_S)
    valid = sum(each.valid for answered in answers for each in answered)
    until(lambda: stack.totals(program_id).stored == EVENTS, timeout_s=PATIENCE_S)
    totals = stack.totals(program_id)
    assert (totals.valid, totals.invalid) == (valid, EVENTS - valid)


def test_a_raised_budget_counts_again_at_once(stack: Stack) -> None:
    program_id = _put(stack, budget=BATCH)
    first, second = stack.trackers
    assert _ask(first, program_id, items=BATCH).valid == BATCH
    for tracker in stack.trackers:
        _until_refused(tracker, program_id)

    _put(stack, program_id, budget=10**6)

    assert _ask(first, program_id, items=BATCH).valid == BATCH
    until(lambda: _ask(second, program_id).valid, timeout_s=PATIENCE_S)


def test_who_floods_a_program_with_clicks_does_not_count_and_others_do(stack: Stack) -> None:
    program_id = _put(stack)
    _ask(stack.trackers[0], program_id, items=2 * AgentSettings().guard_high, kind="click", visitor="flood")

    for tracker in stack.trackers:
        _until_refused(tracker, program_id, visitor="flood")

        assert _ask(tracker, program_id, visitor="flood").reasons == {"flood"}
        assert _ask(tracker, program_id, visitor="somebody else").valid == 1


def _put(stack: Stack, program_id: str = "", **fields: Any) -> str:
    program_id = program_id or f"p-{uuid4().hex[:8]}"
    answer = stack.trackers[0].put(f"/programs/{program_id}?wait=true", json=BODY | fields)
    assert (answer.status_code, answer.json()["applied"]) == (200, True)
    return program_id


def _until_agents_work(stack: Stack) -> None:
    """A stack is ready before its worker has taken its shards."""
    program_id = _put(stack, budget=1)
    for tracker in stack.trackers:
        _until_refused(tracker, program_id)


def _last_seen_unspent(stack: Stack, program_id: str) -> float:
    """When fewer events than the budget were stored for the last time: no later than that was over."""
    unspent_s = time.monotonic()
    deadline_s = unspent_s + PATIENCE_S
    while (seen_s := time.monotonic()) < deadline_s:
        if stack.totals(program_id).valid >= BUDGET:
            return unspent_s
        unspent_s = seen_s
        time.sleep(LOOK_EVERY_S)
    raise AssertionError(f"fewer than {BUDGET} events are stored within {PATIENCE_S} s")


def _send(tracker: httpx.Client, program_id: str, *, batches: int) -> list[Answered]:
    """Sends batches at BATCHES_PER_S, or as fast as they are answered where that is slower."""
    began_s, answers = time.monotonic(), []
    for number in range(batches):
        time.sleep(max(0, began_s + number / BATCHES_PER_S - time.monotonic()))
        answers.append(_ask(tracker, program_id, items=BATCH))
    return answers


def _ask(tracker: httpx.Client, program_id: str, *, items: int = 1, **fields: Any) -> Answered:
    answer = tracker.post("/events", json=[{"programId": program_id} | fields] * items).json()
    assert answer["accepted"] == items
    results = answer["results"]
    reasons = {each["reason"] for each in results if not each["valid"]}
    return Answered(time.monotonic(), sum(each["valid"] for each in results), reasons)


def _until_refused(tracker: httpx.Client, program_id: str, **fields: Any) -> None:
    until(lambda: _ask(tracker, program_id, **fields).reasons, timeout_s=PATIENCE_S)
