"""Polls that fail now and then: nothing is done by what they did not tell, and nothing starves for them."""

from __future__ import annotations

import random

import pytest

from kafka_consumer_scaler.core.capacity import Capacity
from kafka_consumer_scaler.core.cycle import decide
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.snapshot import Reading, Replicas, Snapshot, Unknown
from kafka_consumer_scaler.core.verdict import ScaleTo
from tests.core.making import members, orders

POLL_SECONDS = 15


def downs(failing: float, seed: int) -> tuple[list[int], list[int]]:
    """When a scale-down is decided for 12 replicas of 100 records/s of which 300 need 4, and when polls had failed."""
    chance, history, memory = random.Random(seed), History(), Memory(capacity=Capacity(100.0, learned=True))
    decided, failed = [], []
    for at in range(0, 3600, POLL_SECONDS):
        snapshot = Snapshot(at, {tp: Reading(10_000 + at * 25, 9_950 + at * 25) for tp in orders(12)}, members(12))
        if chance.random() < failing:
            failed.append(at)
            snapshot = Snapshot(at, Unknown("the brokers did not answer"))
        history = history.append(snapshot)
        verdict = decide(Policy(max_replicas=12), history, Replicas(12, 12), memory, at + 0.2)
        memory = verdict.memory
        decided += [at] if isinstance(verdict.decision, ScaleTo) else []
    return decided, failed


@pytest.mark.parametrize("failing", [0.0, 0.05, 0.2])
def test_polls_that_fail_now_and_then_do_not_starve_the_way_down(failing: float) -> None:
    for seed in range(4):
        decided, failed = downs(failing, seed)
        assert 300 <= decided[0] <= 600, "a window, or the next of them where three polls in a row failed"
        assert not [at for at in decided if any(0 <= at - bad < 2 * POLL_SECONDS for bad in failed)]


def test_one_poll_in_ten_is_too_few_to_take_anything_away_by() -> None:
    assert not downs(0.9, 1)[0]
