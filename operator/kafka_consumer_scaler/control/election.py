"""The election at work: asks what the machine wants asked, tells of each change once, and guards the writes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import random
from typing import Any

from kafka_consumer_scaler.control.leadership import Answer, Create, Election, Role, Step, Update
from kafka_consumer_scaler.control.ports import FinalizerAccess, LeaseAccess, QuotaAccess, ScaleAccess, StatusAccess
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Replicas, Unknown
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.entities import Before, Change, Entity, Quotas
from kafka_consumer_scaler.kube.claim import Found
from kafka_consumer_scaler.kube.target import Target

RELEASE_SECONDS = 5.0
"""How long an end may wait for the lease to be let go."""
NOT_LEADING = Unknown("this operator's lease may have passed, so it changes nothing", Reason.NOT_LEADER)
NOT_ANSWERED = Unknown("the request was not answered")

logger = logging.getLogger(__name__)


class LeadershipLost(Exception):
    """Another operator may lead now; the message is one line."""


def monotonic() -> float:
    """Seconds that go on while the machine sleeps, where its clocks can tell: a sleep must not prolong a lease."""
    boot_time = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot_time is None else time.clock_gettime(boot_time)


def stamp() -> str:
    """The wall clock's time as Kubernetes' MicroTime, for people."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(slots=True, eq=False)
class Elector:
    """Takes part in the election by `lease`, with the machine `election` as its whole state."""

    lease: LeaseAccess
    election: Election
    clock: Callable[[], float] = monotonic
    _leads: asyncio.Event = field(default_factory=asyncio.Event)
    _told: tuple[Role, str] = (Role.ENDED, "")
    _trouble: str = ""
    _heard_at: float | None = None
    _writing: int = 0

    def may_write(self) -> bool:
        """Whether a write that begins now, and ends within `write_seconds`, cannot meet another leader's."""
        return self.election.may_write(self.clock())

    @property
    def is_standby(self) -> bool:
        """Whether it has not led yet."""
        return not self._leads.is_set()

    @property
    def transitions(self) -> int:
        """How often the lease was acquired, by whomever; 0 before it was read."""
        return self.election.seen.claim.transitions if isinstance(self.election.seen, Found) else 0

    def silent_seconds(self) -> float:
        """How long the API server has not answered about the lease; since the start, if never."""
        return self.clock() - (self._heard_at if self._heard_at is not None else self.clock())

    async def led(self) -> None:
        """Return once this operator leads."""
        await self._leads.wait()

    async def run(self) -> None:
        """Take part until cancelled. Raises LeadershipLost when the lease was lost."""
        self._heard_at = self.clock()
        while not self.election.ended:
            await self._step()
            await asyncio.sleep(self.election.pause(self.clock(), random()))  # noqa: S311
        raise LeadershipLost(f"no longer the leader: {self.election.ended} ({self.lease})")

    async def release(self) -> None:
        """Let go, so that another one leads at once. Only while no write is under way; else the lease runs out."""
        if self._writing:
            logger.warning("the lease is not released: a write is under way", extra=self._labels())
            return
        self.election = self.election.leaving()
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                while not self.election.ended:
                    await self._step()
                    await asyncio.sleep(0 if self.election.ended else self.election.pause(self.clock(), 0.0))
        except TimeoutError:
            logger.warning("the lease could not be released and runs out", extra=self._labels())

    @contextmanager
    def writing(self) -> Iterator[None]:
        """A write is under way."""
        self._writing += 1
        try:
            yield
        finally:
            self._writing -= 1

    async def _step(self) -> None:
        """One question and its answer. One that is cancelled may have been carried out."""
        started = self.clock()
        step = self.election.step(started, stamp())
        if step is None:
            return
        answer: Answer = NOT_ANSWERED
        try:
            answer = await self._ask(step)
        finally:
            self.election = self.election.with_answer(step, started, self.clock(), answer)
            self._tell(answer)

    async def _ask(self, step: Step) -> Answer:
        if isinstance(step, Create):
            return await self.lease.create(step.claim)
        if isinstance(step, Update):
            return await self.lease.update(step.claim, step.version)
        return await self.lease.read()

    def _tell(self, answer: Answer) -> None:
        """Log what changed: who leads, and trouble with the lease and its end."""
        trouble = answer.why if isinstance(answer, Unknown) else ""
        self._heard_at = self._heard_at if trouble else self.clock()
        if trouble and trouble != self._trouble:
            logger.warning("the lease cannot be read or renewed", extra=self._labels() | {"problem": trouble})
        elif self._trouble and not trouble:
            logger.info("the lease can be read and renewed again", extra=self._labels())
        self._trouble = trouble
        role = self.election.role(self.clock())
        if (role, self._holder()) != self._told:
            self._told = role, self._holder()
            logger.info("election: %s", role.name.lower(), extra=self._labels() | {"holder": self._holder()})
        if role is Role.LEADER:
            self._leads.set()

    def _holder(self) -> str:
        return self.election.seen.claim.holder if isinstance(self.election.seen, Found) else ""

    def _labels(self) -> dict[str, Any]:
        return {"lease": str(self.lease)}


class Alone:
    """The leadership of an operator that has no rivals: it always may write."""

    is_standby = False
    transitions = 0

    def may_write(self) -> bool:
        """Always."""
        return True


@dataclass(frozen=True, slots=True)
class LedScale:
    """The scale subresource, written by the leader only, within the time that its lease leaves for a write."""

    scale: ScaleAccess
    elector: Elector

    async def read(self, target: Target) -> Replicas | Unknown:
        """Whoever may read, may."""
        return await self.scale.read(target)

    async def changed_by(self, target: Target) -> str:
        """Whoever may read, may."""
        return await self.scale.changed_by(target)

    async def write(self, target: Target, replicas: int, expected: int) -> Unknown | None:
        """Refused with NOT_LEADER, given up with API_SERVER_UNREACHABLE: then it may have been carried out."""
        return await _led(self.elector, lambda: self.scale.write(target, replicas, expected))


@dataclass(frozen=True, slots=True)
class LedStatus:
    """The status subresource, written by the leader only."""

    status: StatusAccess
    elector: Elector

    async def write(self, resource: Mapping[str, Any], status: Mapping[str, Any]) -> Unknown | None:
        """As LedScale's."""
        return await _led(self.elector, lambda: self.status.write(resource, status))


@dataclass(frozen=True, slots=True)
class LedFinalizers:
    """The finalizer, put and taken by the leader only."""

    finalizers: FinalizerAccess
    elector: Elector

    async def hold(self, resource: Mapping[str, Any]) -> Unknown | None:
        """As LedScale's writes."""
        return await _led(self.elector, lambda: self.finalizers.hold(resource))

    async def let_go(self, resource: Mapping[str, Any]) -> Unknown | None:
        """As LedScale's writes."""
        return await _led(self.elector, lambda: self.finalizers.let_go(resource))


@dataclass(frozen=True, slots=True)
class LedQuotas:
    """Quotas of producers, changed by the leader only, within the time that its lease leaves for a write."""

    brokers: QuotaAccess
    elector: Elector

    async def quotas(
        self, connection: Connection, entities: Sequence[Entity], deadline_seconds: float
    ) -> Quotas | Unknown:
        """Whoever may read, may."""
        return await self.brokers.quotas(connection, entities, deadline_seconds)

    async def change_quotas(
        self, connection: Connection, changes: Sequence[Change], deadline_seconds: float
    ) -> Mapping[Entity, Before]:
        """As LedScale's writes; the polling process begins none after its time."""
        found: Mapping[Entity, Before] = {}

        async def write() -> Unknown | None:
            nonlocal found
            seconds = min(deadline_seconds, self.elector.election.timing.write_seconds)
            found = await self.brokers.change_quotas(connection, changes, seconds)
            return None

        problem = await _led(self.elector, write)
        return found if problem is None else dict.fromkeys((one.entity for one in changes), problem)


async def _led(elector: Elector, write: Callable[[], Awaitable[Unknown | None]]) -> Unknown | None:
    """The write, if it may begin now; it is given up when the lease leaves it no more time."""
    if not elector.may_write():
        return NOT_LEADING
    seconds = elector.election.timing.write_seconds
    try:
        with elector.writing():
            async with asyncio.timeout(seconds):
                return await write()
    except TimeoutError:
        why = f"the API server did not carry it out within {seconds:g} s, the time that the lease leaves for a write"
        return Unknown(why, Reason.API_SERVER_UNREACHABLE)
