"""The fleet loop: each Kafka cluster is polled once for all of its groups that are due.

Polls of one cluster stand on a grid: a group with interval I is due at phase + k * I. The phase comes from the
cluster's address, so clusters are spread over time and groups of equal interval share every poll. 5 s and 15 s:

    phase + 0    5    10    15    20        groups of 5 s: all, groups of 15 s: the first and the fourth

Resources whose cluster cannot be reached, for want of a Secret or a permission, are looked at on a grid of their own.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from dataclasses import dataclass, field, replace
from math import floor

from kafka_consumer_scaler.control.connections import Resolver
from kafka_consumer_scaler.control.naming import name_of
from kafka_consumer_scaler.control.pace import Pace
from kafka_consumer_scaler.control.ports import Clock, LagSource, MetricsSink, ResourceSource
from kafka_consumer_scaler.control.reconcile import Reconciler
from kafka_consumer_scaler.control.registry import Registry, Subject, Watched, is_on
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.sample import GroupSample

SPREAD_SECONDS = 5.0
"""First polls of the clusters are spread over this time."""
GATHER_SECONDS = 0.5
"""Groups that are due within this time share a poll."""
LIST_EVERY_SECONDS = 60.0
RECONCILES_MAX = 8
"""Resources of a cluster that are reconciled at once."""
DEADLINE_SECONDS = (5.0, 30.0)
"""Least and most time a poll may take; in between it is the shortest polling interval."""

Due = tuple[tuple[Watched, Subject], ...]

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Fleet:
    """All clusters' polls."""

    registry: Registry
    source: LagSource
    reconciler: Reconciler
    resources: ResourceSource
    metrics: MetricsSink
    clock: Clock
    resolver: Resolver
    _wanted: frozenset[Connection | None] = frozenset()
    _workers: dict[Connection | None, asyncio.Task[None]] = field(default_factory=dict)
    _paces: dict[Connection, Pace] = field(default_factory=dict)
    _names: dict[Connection, str] = field(default_factory=dict)

    async def run(self) -> None:
        """Keep one worker for each cluster in use, until cancelled."""
        lister = asyncio.create_task(self._list_forever(), name="list")
        try:
            while True:
                self.registry.changed.clear()
                self.resolver.follow()
                self.reconciler.quotas.follow()
                self._match_workers()
                await self._report_invalid()
                await self.registry.changed.wait()
        finally:
            await _cancelled([lister, *self._workers.values()])
            await self.resolver.stop()
            await self.reconciler.quotas.stop()

    def overdue_seconds(self) -> float:
        """How late the most belated resource is; 0 when all are on time."""
        now = self.clock.now()
        awaited = (each for each in self.registry.all() if each.subject and each.due_at and not each.is_leaving)
        return max((now - each.due_at for each in awaited), default=0.0)

    def _match_workers(self) -> None:
        """A worker for each cluster in use. One that is no longer wanted ends its round first: it may be writing."""
        self._wanted = self.registry.connections()
        for connection in self._wanted - set(self._workers):
            if connection is not None:
                taken = [name for other, name in self._names.items() if other in self._wanted]
                self._names[connection] = name_of(self.registry.of(connection), taken)
            self._workers[connection] = asyncio.create_task(self._watch(connection), name=_name(connection))

    def _let_go(self, connection: Connection | None) -> None:
        del self._workers[connection]
        if connection is None:
            return
        self._paces.pop(connection, None)
        self.source.forget(connection)
        cluster, name = connection.bootstrap_servers, self._names.pop(connection)
        if all((other.bootstrap_servers, its) != (cluster, name) for other, its in self._names.items()):
            self.metrics.forget_cluster(cluster, name)

    async def _report_invalid(self) -> None:
        for watched in self.registry.all():
            if watched.subject is None and not watched.is_leaving:
                await self.reconciler.report_invalid(watched)

    async def _list_forever(self) -> None:
        while True:
            await asyncio.sleep(LIST_EVERY_SECONDS)
            try:
                await self._list()
            except Exception:
                logger.exception("list failed")

    async def _list(self) -> None:
        before = self.registry.uids()
        bodies = await self.resources.listed()
        if isinstance(bodies, Unknown):
            logger.warning("resources not listed", extra={"problem": bodies.why})
        else:
            self.registry.replace(bodies, before)

    async def _watch(self, connection: Connection | None) -> None:
        """Poll one cluster while it is wanted; an error of ours in one round is logged and does not end the rounds."""
        phase = _phase(connection)
        await asyncio.sleep(phase % SPREAD_SECONDS)
        while connection in self._wanted:
            due = await self._next_due(connection, phase)
            try:
                await self._poll(connection, due)
            except Exception:
                logger.exception("poll failed", extra={"cluster": _name(connection)})
        self._let_go(connection)

    async def _next_due(self, connection: Connection | None, phase: float) -> Due:
        """Sleep until a group is due and gather those that are; new groups are due at once. None when not wanted."""
        while connection in self._wanted:
            now = self.clock.now()
            groups = self.registry.of(connection)
            due = tuple(pair for pair in groups if pair[0].due_at <= now + GATHER_SECONDS)
            if due and max(watched.due_at for watched, _ in due) <= now:
                for watched, subject in due:
                    interval = self._pace(connection).stretch * subject.policy.polling_interval_seconds
                    watched.due_at = _next_on_grid(now + GATHER_SECONDS, phase, interval)
                return due
            waits = [max(GATHER_SECONDS / 5, watched.due_at - now) for watched, _ in groups]
            await asyncio.sleep(min([1.0, *waits]))
        return ()

    async def _poll(self, connection: Connection | None, due: Due) -> None:
        samples = await self._samples(connection, due) if connection else _unreached(due)
        gate = asyncio.Semaphore(RECONCILES_MAX)
        each = zip(due, samples, strict=True)
        await asyncio.gather(*(
            self._reconcile(gate, connection, watched, subject, sample) for (watched, subject), sample in each
        ))

    async def _samples(self, connection: Connection, due: Due) -> list[GroupSample]:
        if not due:
            return []
        began = self.clock.now()
        shortest, pace = min(subject.policy.polling_interval_seconds for _, subject in due), self._pace(connection)
        deadline = min(max(pace.stretch * shortest, DEADLINE_SECONDS[0]), DEADLINE_SECONDS[1])
        samples = await self.source.poll(connection, [subject.query for _, subject in due], deadline)
        seconds = self.clock.now() - began
        problems = [sample.partitions.reason for sample in samples if isinstance(sample.partitions, Unknown)]
        whole = problems[0] if problems and len(problems) == len(samples) else None
        self.metrics.observe_poll(connection.bootstrap_servers, self._names[connection], seconds, whole)
        if whole is None:
            self._keep_pace(connection, pace.after_poll(seconds, shortest))
        return [_paced(sample, pace) for sample in samples]

    def _pace(self, connection: Connection | None) -> Pace:
        return self._paces.get(connection, Pace()) if connection else Pace()

    def _keep_pace(self, connection: Connection, pace: Pace) -> None:
        before, cluster = self._pace(connection).stretch, connection.bootstrap_servers
        self._paces[connection] = pace
        self.metrics.observe_stretch(cluster, self._names[connection], pace.stretch)
        if pace.stretch != before:
            slower = "answer slowly" if pace.stretch > before else "answer quicker again"
            logger.warning("brokers %s: polls are %d intervals apart", slower, pace.stretch, extra={"cluster": cluster})

    async def _reconcile(
        self,
        gate: asyncio.Semaphore,
        connection: Connection | None,
        watched: Watched,
        subject: Subject,
        sample: GroupSample,
    ) -> None:
        """A resource that was deleted, respecified or led elsewhere during the poll waits for its next poll."""
        async with gate, watched.busy:
            if watched not in self.registry or watched.subject is not subject or not is_on(watched, connection):
                return
            if watched.is_leaving:
                return
            try:
                await self.reconciler.reconcile(watched, subject, sample)
            except Exception:
                logger.exception("reconcile failed", extra={"namespace": watched.namespace, "scaler": watched.name})


def _paced(sample: GroupSample, pace: Pace) -> GroupSample:
    """The sample, with how far apart polls are."""
    return replace(sample, details=replace(sample.details, stretch=pace.stretch)) if pace.stretch > 1 else sample


def _unreached(due: Due) -> list[GroupSample]:
    """Nothing is known of these groups, for the reason why their cluster cannot be reached."""
    pending = Unknown("the connection is being looked up", Reason.WAITING_FOR_FIRST_SAMPLE)
    whys = (watched.connection if isinstance(watched.connection, Unknown) else pending for watched, _ in due)
    return [GroupSample.unknown(why) for why in whys]


def _name(connection: Connection | None) -> str:
    return connection.bootstrap_servers if connection else "no cluster"


def _phase(connection: Connection | None) -> float:
    """0 to 3,600 s, the same for the same cluster in every process."""
    return zlib.crc32(repr(connection).encode()) % 3_600_000 / 1000


def _next_on_grid(after: float, phase: float, interval: float) -> float:
    """The first `phase + k * interval` later than `after`."""
    return phase + (floor((after - phase) / interval) + 1) * interval


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
