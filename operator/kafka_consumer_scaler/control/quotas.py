"""Keeps the quotas of producers: a task for each resource that names some, or has one to put back. No poll waits.

Each step compares what the broker has with what is wanted, by `leases.py`, and carries out the difference in this
order: the finalizer, the lease in the status, the broker, the status again, and without a lease the finalizer goes.

A resource is held back by all of its entries or by none, so that the core may count on what it asked for: while one of
them is not permitted, refused or without effect, the core is told of no quotas at all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from kafka_consumer_scaler.api.upstream import Lease, leases_as_status, leases_from_status
from kafka_consumer_scaler.control.allowances import Allowances
from kafka_consumer_scaler.control.leases import Step, entity_of, spoken, standing_leases, taken, went_on
from kafka_consumer_scaler.control.ports import Clock, EventSink, FinalizerAccess, QuotaAccess, StatusAccess
from kafka_consumer_scaler.control.registry import Registry, Subject, Watched
from kafka_consumer_scaler.core.policy import Mode, Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.core.throttle import Throttle
from kafka_consumer_scaler.core.verdict import Condition, Event, Verdict
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.entities import Before, Entity, Quotas

VERIFY_SECONDS = 15.0
"""How often the broker is asked whether it still has what was set."""
IDLE_SECONDS = 300.0
"""How often a resource without a lease is checked, so that what is missing is told before it is needed."""
BLOCKED_SECONDS = 60.0
RETRY_SECONDS = 10.0
DOUBT_SECONDS = 5.0
BREATH_SECONDS = 0.2
DEADLINE_SECONDS = 10.0
"""How long the brokers may take for one question."""
BLOCKING = frozenset({
    Reason.QUOTA_NOT_PERMITTED, Reason.QUOTA_REFUSED, Reason.QUOTA_WITHOUT_EFFECT, Reason.QUOTA_CHANGED,
})  # fmt: skip
"""No quota is set while one of these lasts; anything else passes by itself."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class QuotaKeeper:
    """All leases."""

    registry: Registry
    brokers: QuotaAccess
    status: StatusAccess
    finalizers: FinalizerAccess
    events: EventSink
    allowances: Allowances
    clock: Clock
    _kept: dict[str, tuple[Watched, asyncio.Task[None]]] = field(default_factory=dict)

    def policy_of(self, watched: Watched, subject: Subject) -> Policy:
        """What is to be decided by: without quotas while they cannot be set."""
        policy = subject.policy
        if not policy.quotas or not acts(policy) or watched.upstream.is_usable:
            return policy
        return replace(policy, quotas=())

    def want(self, watched: Watched, subject: Subject, throttle: Throttle | None) -> None:
        """What the producers are to be held to from now on; returns at once."""
        held = throttle.quotas if throttle is not None and acts(subject.policy) else ()
        wanted = {Entity(one.client_id, one.user): max(1, round(one.bytes_per_broker)) for one in held}
        if wanted != watched.upstream.wanted:
            watched.upstream.wanted = wanted
            watched.upstream.stirred.set()
        self._follow(watched)

    def follow(self) -> None:
        """A task for each resource that needs one."""
        for watched in self.registry.all():
            self._follow(watched)

    async def stop(self) -> None:
        """End all tasks; leases stay, for the next operator."""
        tasks = [task for _, task in self._kept.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _follow(self, watched: Watched) -> None:
        if watched.uid not in self._kept and self._is_needed(watched):
            task = asyncio.create_task(self._keep(watched), name=f"quotas of {watched.namespace}/{watched.name}")
            self._kept[watched.uid] = watched, task

    def _is_needed(self, watched: Watched) -> bool:
        is_ours = watched.upstream.is_held or bool(_named(watched))
        return bool(watched.upstream.leases) or (is_ours and watched in self.registry)

    async def _keep(self, watched: Watched) -> None:
        """Step by step, until nothing is left to do; an error of ours ends no task."""
        upstream = watched.upstream
        try:
            while self._is_needed(watched):
                upstream.stirred.clear()
                pause = await self._stepped(watched)
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await upstream.stirred.wait()
                await asyncio.sleep(BREATH_SECONDS)
            upstream.trouble, upstream.is_usable = None, False
        finally:
            del self._kept[watched.uid]
            self.registry.changed.set()

    async def _stepped(self, watched: Watched) -> float:
        try:
            return await self.step(watched)
        except Exception:
            logger.exception("quotas failed", extra=_labels(watched))
            return RETRY_SECONDS

    async def step(self, watched: Watched) -> float:
        """One look at what the broker has, and what follows from it; answers how long to wait for the next."""
        upstream = watched.upstream
        problem = self._forbidden(watched)
        await self._give_up_forbidden(watched)
        entities = () if problem is not None else self._entities(watched)
        asked = sorted({*entities, *map(entity_of, upstream.leases)}, key=str)
        if asked:
            problem = await self._compared(watched, entities, asked) or problem
        else:
            problem = await self._note(watched, ()) or problem
        await self._tell(watched, problem)
        if problem is not None:
            return BLOCKED_SECONDS if problem.reason in BLOCKING else RETRY_SECONDS
        if upstream.doubtful:
            return DOUBT_SECONDS
        return VERIFY_SECONDS if upstream.leases else IDLE_SECONDS

    def _forbidden(self, watched: Watched) -> Unknown | None:
        """Why no quota of the resource may be set, whatever the broker says."""
        if watched not in self.registry or not (named := _named(watched)):
            return None
        upstream = watched.upstream
        if upstream.given_up is not None and upstream.given_up_under == _generation(watched):
            return upstream.given_up
        refusals = (self.allowances.refusal(watched.namespace, entity) for entity in named)
        return next((refusal for refusal in refusals if refusal is not None), None)

    def _entities(self, watched: Watched) -> tuple[Entity, ...]:
        """Whose quotas may be set now."""
        subject = watched.subject
        may = watched in self.registry and subject is not None and acts(subject.policy)
        return _named(watched) if may else ()

    async def _give_up_forbidden(self, watched: Watched) -> None:
        """A lease that the administrator does not allow is perhaps none of ours: nobody is told to undo it."""
        for lease in watched.upstream.leases:
            refusal = self.allowances.refusal(watched.namespace, entity_of(lease))
            if refusal is not None:
                watched.upstream.leases = tuple(one for one in watched.upstream.leases if one is not lease)
                why = f"the quota of {entity_of(lease)} is left as it is; before it was {spoken(lease.previous)}: "
                await self._say(watched, Unknown(why + refusal.why, refusal.reason))

    async def _compared(
        self, watched: Watched, entities: Collection[Entity], asked: list[Entity]
    ) -> Unknown | None:
        """Ask the broker and do what follows; why that could not be done, if it could not."""
        connection, is_elsewhere = _connection(watched)
        if isinstance(connection, Unknown):
            return connection
        told = await self.brokers.quotas(connection, asked, DEADLINE_SECONDS)
        if isinstance(told, Unknown):
            return told
        obstacle = self._obstacle(watched, entities, told)
        watched.upstream.is_usable = bool(entities) and obstacle is None and not is_elsewhere
        wanted = _wanted(watched, entities) if watched.upstream.is_usable else {}
        steps = {entity: self._planned(watched, entity, wanted.get(entity), told) for entity in asked}
        watched.upstream.doubtful = frozenset(entity for entity, step in steps.items() if step.is_doubtful)
        watched.upstream.connection = connection
        self._note_given_up(watched, steps)
        return await self._carry_out(watched, connection, steps) or self._forbidden(watched) or obstacle

    def _obstacle(self, watched: Watched, entities: Collection[Entity], told: Quotas) -> Unknown | None:
        """What makes a quota useless: another one that holds in spite of it, or another resource's lease of it."""
        for entity in entities:
            if other := told.standings[entity].overridden_by:
                said = f"a quota of {entity} would have no effect while there is {other}"
                return Unknown(said, Reason.QUOTA_WITHOUT_EFFECT)
            if (holder := self._holder(watched, entity, told.cluster)) is not None:
                said = f"{entity} is already held back by KafkaConsumerScaler {holder.namespace}/{holder.name}"
                return Unknown(said, Reason.QUOTA_WITHOUT_EFFECT)
        return None

    def _holder(self, watched: Watched, entity: Entity, cluster: str) -> Watched | None:
        others = (other for other, _ in self._kept.values() if other is not watched)
        return next((other for other in others for lease in other.upstream.leases
                     if (entity_of(lease), lease.cluster) == (entity, cluster)), None)

    def _planned(self, watched: Watched, entity: Entity, wanted: int | None, told: Quotas) -> Step:
        lease = _lease(watched, entity)
        if lease is None:
            at = float(int(self.clock.now()))  # the status has whole seconds
            return Step() if wanted is None else taken(entity, wanted, told.standings[entity], told.cluster, at)
        if lease.cluster != told.cluster:
            return Step(given_up=f"the quota of {entity} was set at the Kafka cluster {lease.cluster}, which the "
                                 f"resource names no more, and stays there; before it was {spoken(lease.previous)}")
        doubted = entity in watched.upstream.doubtful
        return went_on(lease, wanted, told.standings[entity], was_doubtful=doubted)

    def _note_given_up(self, watched: Watched, steps: Mapping[Entity, Step]) -> None:
        said = [step.given_up for step in steps.values() if step.given_up]
        if said:
            watched.upstream.given_up = Unknown("; ".join(said), Reason.QUOTA_CHANGED)
            watched.upstream.given_up_under = _generation(watched)
            watched.upstream.is_usable = False

    async def _carry_out(
        self, watched: Watched, connection: Connection, steps: Mapping[Entity, Step]
    ) -> Unknown | None:
        if (problem := await self._note(watched, standing_leases(step.lease for step in steps.values()))) is not None:
            return problem
        changes = [step.change for step in steps.values() if step.change is not None]
        found: Mapping[Entity, Before] = {}
        if changes:
            found = await self.brokers.change_quotas(connection, changes, DEADLINE_SECONDS)
            watched.upstream.stirred.set()  # look at once whether it is there
        after = {entity: step.after(found.get(entity)) if step.change else step.lease for entity, step in steps.items()}
        problems = [one for one in found.values() if isinstance(one, Unknown)]
        watched.upstream.leases = standing_leases(after.values())
        return await self._note(watched, watched.upstream.leases) or next(iter(problems), None)

    async def _note(self, watched: Watched, leases: tuple[Lease, ...]) -> Unknown | None:
        """Have the leases in the status, and the finalizer as long as there are any; without either nothing is said."""
        upstream = watched.upstream
        is_there = watched in self.registry and not watched.is_leaving
        if leases and not upstream.is_held and is_there:
            if (problem := await self.finalizers.hold(watched.body)) is not None:
                return problem
            upstream.is_held = True
        if (problem := await self._write(watched, leases)) is not None:
            return problem
        if not leases and upstream.is_held:
            if (problem := await self.finalizers.let_go(watched.body)) is not None:
                return problem
            upstream.is_held = False
        return None

    async def _write(self, watched: Watched, leases: tuple[Lease, ...]) -> Unknown | None:
        """Not while the loop writes the status: it would lose what the other one wrote."""
        async with watched.busy:
            before, watched.upstream.leases = watched.upstream.leases, leases
            if leases == leases_from_status(watched.status):
                return None
            rest = {name: value for name, value in watched.status.items() if name != "quotaLeases"}
            status = {**rest, **leases_as_status(leases)}
            problem = await self.status.write(watched.body, status)
            if problem is not None:
                watched.upstream.leases = before
                return problem
            watched.status = status
            return None

    async def _tell(self, watched: Watched, problem: Unknown | None) -> None:
        """Keep what is in the way, and say it when it begins; of what passes only while a lease stands."""
        upstream, before = watched.upstream, watched.upstream.trouble
        is_looked_up = problem is not None and problem.reason is Reason.CONNECTION_NOT_FOUND
        upstream.trouble = None if is_looked_up and not upstream.leases else problem
        if problem is None:
            return
        is_final = problem.reason in BLOCKING
        upstream.is_usable = upstream.is_usable and not is_final
        if (is_final or upstream.leases) and (before is None or before.reason is not problem.reason):
            await self._say(watched, problem)

    async def _say(self, watched: Watched, problem: Unknown) -> None:
        reason, message = _reason(problem), _sentence(watched, problem)
        logger.warning(message, extra=_labels(watched) | {"reason": str(reason)})
        await self.events.post(watched.body, Event(reason, message, warning=True, action="Throttling"), None)


def acts(policy: Policy) -> bool:
    """Whether the resource changes anything."""
    return policy.mode is Mode.ACTIVE and not policy.paused


def with_trouble(verdict: Verdict, watched: Watched) -> Verdict:
    """The verdict with the condition that tells what is in the way of the quotas, while something is."""
    problem = watched.upstream.trouble
    if problem is None:
        return verdict
    reason = _reason(problem)
    condition = Condition(reason, True, problem.reason, _sentence(watched, problem))
    return replace(verdict, conditions=(*verdict.conditions, condition))


def _reason(problem: Unknown) -> Reason:
    return problem.reason if problem.reason in BLOCKING else Reason.QUOTA_REFUSED


def _sentence(watched: Watched, problem: Unknown) -> str:
    held = ", ".join(str(entity_of(lease)) for lease in watched.upstream.leases)
    return f"the quota of {held} stays until this is over: {problem.why}" if held else problem.why


def _named(watched: Watched) -> tuple[Entity, ...]:
    """Whom the spec names; nobody once it is deleted."""
    if watched.subject is None or watched.is_leaving:
        return ()
    return tuple(Entity(one.client_id, one.user) for one in watched.subject.policy.quotas)


def _lease(watched: Watched, entity: Entity) -> Lease | None:
    return next((lease for lease in watched.upstream.leases if entity_of(lease) == entity), None)


def _wanted(watched: Watched, entities: Collection[Entity]) -> Mapping[Entity, int]:
    """What was last asked for; before anything was, what stands goes on to stand."""
    wanted = watched.upstream.wanted
    if wanted is None:
        wanted = {entity_of(lease): lease.rate for lease in watched.upstream.leases}
    return {entity: wanted[entity] for entity in entities if entity in wanted}


def _connection(watched: Watched) -> tuple[Connection | Unknown, bool]:
    """Where the leases stand, or else the resource's; and whether that is not where the resource points now."""
    now, before = watched.connection, watched.upstream.connection
    if watched.upstream.leases and before is not None:
        is_same = isinstance(now, Connection) and now.bootstrap_servers == before.bootstrap_servers
        return (now, False) if is_same and isinstance(now, Connection) else (before, isinstance(now, Connection))
    return (Unknown("the connection is being looked up", Reason.CONNECTION_NOT_FOUND) if now is None else now), False


def _generation(watched: Watched) -> int:
    return int(watched.body["metadata"].get("generation") or 0)


def _labels(watched: Watched) -> dict[str, str]:
    return {"namespace": watched.namespace, "scaler": watched.name}
