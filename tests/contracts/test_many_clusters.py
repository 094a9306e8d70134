"""Twenty clusters, one of which is a black hole: the fleet, the polling process and the broker are the real ones."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import statistics
from collections import defaultdict
from collections.abc import Iterator

import pytest

from kafka_consumer_scaler.control.clock import SteadyClock
from kafka_consumer_scaler.control.fleet import SPREAD_SECONDS, Fleet
from kafka_consumer_scaler.control.registry import Registry
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.kafka.polling_process import PollingProcess
from tests.control.fakes import NoMetrics, Outside, Vault, reconciler, resolver, resource

pytestmark = pytest.mark.cluster

CLUSTERS = 20
LOOK_SECONDS = 8.0
TRIES = 3
"""A machine that stands still for two seconds costs every cluster two polls; what holds polls up does so each time."""
SECURED = {"sasl": {"mechanism": "SCRAM-SHA-512", "username": "x", "passwordSecretRef": {"name": "x", "key": "x"}}}


class Polls(NoMetrics):
    """How long each poll of each cluster took."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, list[float]] = defaultdict(list)
        self.problems: defaultdict[str, set[Reason | None]] = defaultdict(set)

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


async def polled(registry: Registry, vault: Vault) -> Polls:
    """What the fleet measures once every worker has begun."""
    polls, source, outside = Polls(), PollingProcess(), Live()
    await source.start()
    fleet = Fleet(registry, source, reconciler(outside, registry), outside, polls, SteadyClock(),
                  resolver(registry, vault))  # fmt: skip
    task = asyncio.create_task(fleet.run())
    try:
        await asyncio.sleep(SPREAD_SECONDS + 2)
        polls.seconds.clear()
        await asyncio.sleep(LOOK_SECONDS)
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
    before = await polled(registry_of(clusters), Vault())

    troubled = registry_of([black_hole, *others])
    troubled.put(resource("hangs", "u-hangs", namespace="billing", scaleTargetRef={"name": "hangs"},
                          kafka={"bootstrapServers": "elsewhere:9092", **SECURED}))  # fmt: skip
    for _ in range(TRIES):
        after = await polled(troubled, Vault(silent={"billing"}))
        assert after.problems[black_hole] == {Reason.BROKERS_UNREACHABLE}
        least = min(len(after.seconds[cluster]) for cluster in others)
        fewer = sum(len(before.seconds[cluster]) - len(after.seconds[cluster]) for cluster in others)
        later = typical(after, others) - typical(before, others)
        if least >= LOOK_SECONDS / 2 and fewer <= len(others) and later < 0.1:
            return
    raise AssertionError(f"a cluster has {least} polls, all have {fewer} fewer, and a poll takes {later:.3f} s more")
