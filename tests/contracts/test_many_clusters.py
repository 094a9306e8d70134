"""Twenty clusters, one of which is a black hole: the fleet, the polling process and the broker are the real ones."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator

import pytest

from kafka_consumer_scaler.control.clock import SteadyClock
from kafka_consumer_scaler.control.fleet import Fleet
from kafka_consumer_scaler.control.registry import Registry
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.kafka.polling_process import PollingProcess
from tests.control.fakes import NoMetrics, Outside, Vault, reconciler, resolver, resource
from tests.trials import awaited_in_one_of_several_trials
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.cluster

CLUSTERS = 20
POLLS = 6
SECURED = {"sasl": {"mechanism": "SCRAM-SHA-512", "username": "x", "passwordSecretRef": {"name": "x", "key": "x"}}}


class Polls(NoMetrics):
    """How long each poll of each cluster took."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, list[float]] = defaultdict(list)
        self.problems: defaultdict[str, set[Reason | None]] = defaultdict(set)
        self.took = 0.0

    def observe_poll(self, cluster: str, connection: str, seconds: float, problem: Reason | None) -> None:
        self.seconds[cluster].append(seconds)
        self.problems[cluster].add(problem)


class Live(Outside):
    """An outside whose time goes on."""

    clock = SteadyClock()

    def now(self) -> float:
        return self.clock.now()


@pytest.fixture
def black_hole() -> Iterator[str]:
    """An address that takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def registry_of(servers: list[str]) -> Registry:
    """A group that is polled every second on each of these clusters."""
    registry = Registry(SteadyClock())
    for number, each in enumerate(servers):
        registry.put(resource(f"s{number}", f"u{number}", kafka={"bootstrapServers": each}, topics=["missing"],
                              pollingIntervalSeconds=1, scaleTargetRef={"name": f"c{number}"}))  # fmt: skip
    return registry


async def polled(registry: Registry, vault: Vault, clusters: list[str], *troubled: str) -> Polls:
    """What the fleet measures once every worker has begun, until half of the clusters were polled so many times.

    A troubled cluster has told its problem by then.
    """
    polls, source, outside = Polls(), PollingProcess(), Live()
    await source.start()
    fleet = Fleet(registry, source, reconciler(outside, registry), outside, polls, SteadyClock(),
                  resolver(registry, vault))  # fmt: skip
    task = asyncio.create_task(fleet.run())
    try:
        await until(lambda: all(polls.seconds[cluster] for cluster in clusters))
        polls.seconds.clear()
        began = time.monotonic()
        await until(lambda: statistics.median(len(polls.seconds[cluster]) for cluster in clusters) >= POLLS)
        polls.took = time.monotonic() - began
        await until(lambda: all(polls.problems[cluster] for cluster in troubled))
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await source.stop()
    return polls


def typical(polls: Polls, clusters: list[str]) -> float:
    return statistics.median(seconds for cluster in clusters for seconds in polls.seconds[cluster])


async def test_a_black_hole_and_a_hanging_secret_among_twenty_clusters_delay_no_other(
    kafka_bootstrap_servers: str, black_hole: str
) -> None:
    clusters = [",".join([kafka_bootstrap_servers] * (number + 1)) for number in range(CLUSTERS)]
    others = clusters[1:]

    async def none_is_delayed() -> None:
        """A poll that waits for the black hole waits five seconds, in which five polls are due."""
        before = await polled(registry_of(clusters), Vault(), others)
        troubled = registry_of([black_hole, *others])
        troubled.put(resource("hangs", "u-hangs", namespace="billing", scaleTargetRef={"name": "hangs"},
                              kafka={"bootstrapServers": "elsewhere:9092", **SECURED}))  # fmt: skip
        after = await polled(troubled, Vault(silent={"billing"}), others, black_hole)
        assert after.problems[black_hole] == {Reason.BROKERS_UNREACHABLE}
        assert min(len(after.seconds[cluster]) for cluster in others) >= POLLS / 2
        assert after.took < 1.5 * before.took
        assert typical(after, others) < 2 * typical(before, others) + 0.25

    await awaited_in_one_of_several_trials(none_is_delayed)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():
            await asyncio.sleep(0.05)
