"""A large decision is made in a thread: the loop goes on, order stays, and who is cancelled gets nothing."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from kafka_consumer_scaler.control import deciding, reconcile
from kafka_consumer_scaler.control.deciding import THREAD, readings
from kafka_consumer_scaler.control.reconcile import Reconciler
from kafka_consumer_scaler.control.registry import Registry, Watched
from kafka_consumer_scaler.core.cycle import decide
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.snapshot import Snapshot
from tests.control.fakes import Outside, resource, sample
from tests.waiting import PATIENCE_SECONDS

LARGE, SMALL = 12, 4
"""Partitions."""


class Decisions:
    """decide(), which waits in a thread until it may go on, and notes where it was called."""

    def __init__(self) -> None:
        self.may_go_on, self.has_begun = threading.Event(), threading.Event()
        self.threads: list[str] = []

    def __call__(self, *arguments: Any) -> Any:
        name = threading.current_thread().name
        self.threads.append(name)
        if name.startswith(THREAD):
            self.has_begun.set()
            assert self.may_go_on.wait(PATIENCE_SECONDS)
        return decide(*arguments)


@pytest.fixture
def decisions(monkeypatch: pytest.MonkeyPatch) -> Decisions:
    made = Decisions()
    monkeypatch.setattr(reconcile, "decide", made)
    monkeypatch.setattr(deciding, "READINGS_ON_LOOP", SMALL)
    return made


def poll(body: Reconciler, watched: Watched, partitions: int) -> asyncio.Task[None]:
    assert watched.subject is not None
    return asyncio.create_task(body.reconcile(watched, watched.subject, sample(500, partitions=partitions)))


async def begun(decisions: Decisions) -> None:
    """Wait, with the loop going on, until the thread has begun to decide."""
    while not decisions.has_begun.is_set():
        await asyncio.sleep(0.001)


async def test_a_small_decision_is_made_on_the_loop(
    decisions: Decisions, body: Reconciler, watched: Watched, outside: Outside
) -> None:
    await poll(body, watched, SMALL)
    assert set(decisions.threads) == {threading.current_thread().name}
    assert outside.writes == [(1, 4)]


async def test_the_loop_goes_on_while_a_large_decision_is_made(
    decisions: Decisions, body: Reconciler, watched: Watched, outside: Outside
) -> None:
    polling = poll(body, watched, LARGE)
    await begun(decisions)
    assert not polling.done()
    assert outside.writes == []
    decisions.may_go_on.set()
    await polling
    assert all(name.startswith(THREAD) for name in decisions.threads)
    assert len(outside.writes) == 1


async def test_who_is_cancelled_during_a_large_decision_acts_on_nothing(
    decisions: Decisions, body: Reconciler, watched: Watched, outside: Outside
) -> None:
    polling = poll(body, watched, LARGE)
    await begun(decisions)
    polling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await polling
    decisions.may_go_on.set()
    await asyncio.to_thread(body.deciding.executor.shutdown)
    assert (outside.writes, outside.statuses) == ([], [])


async def test_a_verdict_by_a_spec_that_was_changed_meanwhile_is_dropped(
    decisions: Decisions, body: Reconciler, registry: Registry, watched: Watched, outside: Outside
) -> None:
    polling = poll(body, watched, LARGE)
    await begun(decisions)
    changed = resource(target={"lagPerReplica": 100}, maxReplicas=2)
    changed["metadata"]["generation"] = 2
    registry.put(changed)
    decisions.may_go_on.set()
    await polling
    assert outside.writes == []


async def test_what_a_large_decision_raises_is_raised(
    body: Reconciler, watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: Any) -> Any:
        raise ValueError("no such thing")

    monkeypatch.setattr(reconcile, "decide", fails)
    monkeypatch.setattr(deciding, "READINGS_ON_LOOP", SMALL)
    with pytest.raises(ValueError, match="no such thing"):
        await poll(body, watched, LARGE)


def test_the_readings_of_all_samples_are_counted() -> None:
    assert readings(History()) == 0
    history = History()
    for at in (0.0, 15.0, 30.0):
        history = history.append(Snapshot(at, sample(0, partitions=LARGE).partitions))
    assert readings(history) == 3 * LARGE
