"""One look at one resource: observe, decide, act, report."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kafka_consumer_scaler.api.snapshots import Carried, Look
from kafka_consumer_scaler.api.status import (
    explained,
    is_another_rate,
    safe_rate_as_status,
    same_meaning,
    status_of,
    status_of_invalid,
)
from kafka_consumer_scaler.api.upstream import leases_as_status
from kafka_consumer_scaler.control.deciding import Deciding
from kafka_consumer_scaler.control.ports import (
    Clock,
    EventSink,
    MetricsSink,
    PodSource,
    ResourceSource,
    RivalSource,
    ScaleAccess,
    StatusAccess,
)
from kafka_consumer_scaler.control.quotas import QuotaKeeper, with_trouble
from kafka_consumer_scaler.control.recorder import Recorder
from kafka_consumer_scaler.control.registry import Registry, Subject, Unanswered, Watched
from kafka_consumer_scaler.core.cycle import decide
from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.effect import after_scaling
from kafka_consumer_scaler.core.findings import CRASHING_MEMBERS
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.membership import unrest
from kafka_consumer_scaler.core.policy import Mode
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Group, Replicas, Snapshot, Unknown
from kafka_consumer_scaler.core.verdict import Event, ScaleTo, Verdict
from kafka_consumer_scaler.kafka.sample import GroupSample
from kafka_consumer_scaler.kube.target import Target

START_ASKED_SECONDS = 600.0
"""How often pods are asked how long they took to start, until one is ready."""
REPLICAS_FRESH_SECONDS = 45.0
"""A caught-up group's replicas are read this often; a group with a backlog is read at every poll."""
STATUS_EVERY_SECONDS = 60.0
SAFE_RATE_EVERY_SECONDS = 10.0
"""A safe rate that is another one is told no more often than that."""
SAFE_RATE_SECONDS, SAFE_RATE_POLLS = 180.0, 3
"""For how long, and for how many polling intervals at least, a safe rate is good: it outlives two status writes."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reconciler:
    """The loop's body, with everything it needs from outside."""

    registry: Registry
    clock: Clock
    scale: ScaleAccess
    rivals: RivalSource
    pods: PodSource
    resources: ResourceSource
    status: StatusAccess
    events: EventSink
    metrics: MetricsSink
    recorder: Recorder
    quotas: QuotaKeeper
    deciding: Deciding = field(default_factory=Deciding)

    async def reconcile(self, watched: Watched, subject: Subject, sample: GroupSample) -> None:
        """Bring one resource up to date with one sample of its group."""
        snapshot = self._remember(watched, sample)
        look, verdict = await self._decide(watched, subject, snapshot)
        if watched.subject is not subject:  # the spec was changed meanwhile: the next poll decides by the new one
            return
        verdict = await self._act(watched, subject, look, verdict)
        await self._report(watched, subject, verdict)

    async def report_invalid(self, watched: Watched) -> None:
        """Say what is wrong with a resource that cannot be read."""
        generation = int(watched.body["metadata"].get("generation") or 0)
        status = status_of_invalid(watched.problem, generation, watched.status, self.clock.now())
        status |= leases_as_status(watched.upstream.leases)
        if not same_meaning(watched.status, status):
            logger.warning("invalid resource", extra=_labels(watched) | {"problem": watched.problem})
            await self._write_status(watched, status)

    def _remember(self, watched: Watched, sample: GroupSample) -> Snapshot:
        """Append the sample to the history. A history that begins anew begins a new recording."""
        if watched.history == History():
            self.recorder.forget(watched.uid)
        snapshot = Snapshot(self.clock.now(), sample.partitions, sample.group, sample.details)
        watched.history = watched.history.append(snapshot)
        return snapshot

    async def _decide(self, watched: Watched, subject: Subject, snapshot: Snapshot) -> tuple[Look, Verdict]:
        """Decide on what is known; a change is only ever decided on replicas that were read just now."""
        current, is_fresh = await self._observe(watched, subject)
        look, verdict = await self._judge(watched, subject, snapshot, current)
        if isinstance(verdict.decision, ScaleTo) and not is_fresh:
            watched.replicas = None
            current, _ = await self._observe(watched, subject)
            look, verdict = await self._judge(watched, subject, snapshot, current)
        return look, verdict

    async def _judge(
        self, watched: Watched, subject: Subject, snapshot: Snapshot, current: Replicas | Unknown
    ) -> tuple[Look, Verdict]:
        """What was decided, and on what; recorded before, so that a decision that fails can be replayed too."""
        now = self.clock.now()
        look = Look(snapshot, current, now, watched.memory, scaled=None)
        self._record(watched, look)
        policy, history, memory = self.quotas.policy_of(watched, subject), watched.history, watched.memory
        return look, await self.deciding.made(history, lambda: decide(policy, history, current, memory, now))

    async def _observe(self, watched: Watched, subject: Subject) -> tuple[Replicas | Unknown, bool]:
        """The target's replicas, or why it is not ours to scale; and whether they were read just now.

        Who only advises disturbs nobody, so an Advisory resource may be tried beside KEDA on the same target.
        """
        now = self.clock.now()
        if watched.replicas is not None and now - watched.replicas_read_at < REPLICAS_FRESH_SECONDS:
            return watched.replicas, False
        rival = None if subject.policy.mode is Mode.ADVISORY else await self._rival(watched, subject.target)
        current = rival if rival is not None else await self._replicas(watched, subject.target)
        watched.replicas = current if isinstance(current, Replicas) else None
        watched.replicas_read_at = now
        if watched.replicas is not None:
            await self._credit(watched, subject.target, watched.replicas)
        return current, True

    async def _credit(self, watched: Watched, target: Target, current: Replicas) -> None:
        """A change whose answer was lost is done if its effect is seen: it is announced, and its cooldown is kept."""
        lost, watched.unanswered = watched.unanswered, None
        if lost is None or current.spec != lost.after:
            return
        said = watched.memory.said - {Reason.SCALE_FAILED}
        memory = replace(watched.memory, said=said)
        watched.memory = after_scaling(memory, lost.before, lost.after, lost.at, lost.verdict.busy_drain)
        if lost.verdict.announcement is not None:
            await self._say(watched, lost.verdict.announcement, target)

    async def _replicas(self, watched: Watched, target: Target) -> Replicas | Unknown:
        """The target's replicas. Pods, and who changed the number, are asked about only in doubt."""
        current = await self.scale.read(target)
        if isinstance(current, Unknown):
            return current
        if _is_changed_by_others(watched, current):
            current = replace(current, changed_by=await self.scale.changed_by(target))
        current = replace(current, start_seconds=await self._start_seconds(watched, target))
        if not current.spec or not _misses_members(watched):
            return current
        return replace(current, trouble=await self.pods.trouble(target))

    async def _start_seconds(self, watched: Watched, target: Target) -> float | None:
        """How long pods take to start, asked until it is known, or a scale-up measured how long consumers take."""
        now = self.clock.now()
        is_known = watched.memory.join_seconds is not None or watched.start_seconds is not None
        if not is_known and now - watched.start_asked_at >= START_ASKED_SECONDS:
            watched.start_asked_at = now
            watched.start_seconds = await self.pods.start_seconds(target)
        return watched.start_seconds

    async def _rival(self, watched: Watched, target: Target) -> Unknown | None:
        """Who else scales the target. Who may not ask for autoscalers goes on without: that was the admin's choice."""
        older = self.registry.older_rival(watched, target)
        if older is not None:
            return Unknown(f"KafkaConsumerScaler {older.name} is older and scales {target}", Reason.TARGET_CONFLICT)
        other = await self.rivals.other_scalers(target)
        if isinstance(other, str):
            return Unknown(f"{other} scales {target}", Reason.TARGET_CONFLICT)
        return other if other is not None and other.reason is not Reason.NOT_AUTHORIZED else None

    def _record(self, watched: Watched, look: Look) -> None:
        if watched in self.registry:
            self.recorder.record(watched.uid, look)

    async def _act(self, watched: Watched, subject: Subject, look: Look, verdict: Verdict) -> Verdict:
        """Carry out a ScaleTo; what was not carried out is not remembered as done."""
        decision = verdict.decision
        if not isinstance(decision, ScaleTo) or watched.replicas is None:
            watched.memory = verdict.memory
            return verdict
        before = watched.replicas.spec
        problem = await self._still_ours(watched)
        problem = problem or await self.scale.write(subject.target, decision.replicas, before)
        watched.replicas = None
        self.metrics.observe_scale_write(problem.reason if problem else None)
        if problem is not None:
            if problem.reason is Reason.API_SERVER_UNREACHABLE:
                watched.unanswered = Unanswered(verdict, before, decision.replicas, self.clock.now())
            verdict = verdict.with_failed_scaling(problem)
            watched.memory = verdict.memory
            return verdict
        now = self.clock.now()
        watched.memory = verdict.memory_after_scaling(before, now)
        self._record(watched, replace(look, scaled=Carried(now, decision.replicas)))
        return replace(verdict, memory=watched.memory)

    async def _still_ours(self, watched: Watched) -> Unknown | None:
        """A resource that was deleted, or recreated under its name, since it was last seen must not scale anything."""
        uid = await self.resources.uid(watched.namespace, watched.name)
        if isinstance(uid, Unknown):
            return uid
        if uid == watched.uid and watched in self.registry:
            return None
        if watched.upstream.is_held:
            return Unknown("the resource is being deleted", Reason.SCALE_FAILED)
        self.registry.drop(watched.uid)
        return Unknown("the resource was deleted", Reason.SCALE_FAILED)

    async def _report(self, watched: Watched, subject: Subject, verdict: Verdict) -> None:
        if watched not in self.registry:
            return
        if verdict.backlog is not Backlog.CAUGHT_UP:
            watched.replicas = None
        self.quotas.want(watched, subject, verdict.throttle)
        verdict = with_trouble(verdict, watched)
        self.metrics.observe_resource(watched.namespace, watched.name, subject.query.group, str(subject.target))
        self.metrics.observe_verdict(watched.namespace, watched.name, verdict, subject.policy)
        said = verdict.events if verdict.announcement is None else (*verdict.events, verdict.announcement)
        for event in said:
            await self._say(watched, event, subject.target)
        await self._report_status(watched, subject, verdict)

    async def _say(self, watched: Watched, event: Event, target: Target) -> None:
        logger.info(event.message, extra=_labels(watched) | {"reason": str(event.reason)})
        await self.events.post(watched.body, event, target)
        self.metrics.observe_event(event.reason)

    async def _report_status(self, watched: Watched, subject: Subject, verdict: Verdict) -> None:
        """Written when its meaning changed, soon for another safe rate, else once a minute if a number changed."""
        now = self.clock.now()
        status = status_of(verdict, subject.generation, watched.status, now) | leases_as_status(watched.upstream.leases)
        if subject.tells_producers:
            valid = max(SAFE_RATE_SECONDS, SAFE_RATE_POLLS * subject.policy.polling_interval_seconds)
            status |= safe_rate_as_status(verdict.safe_rate, now + valid)
        waited = now - watched.status_written_at
        is_news = (waited >= STATUS_EVERY_SECONDS and _numbers(status) != _numbers(watched.status)) or (
            waited >= SAFE_RATE_EVERY_SECONDS and is_another_rate(watched.status, status))
        if is_news or not same_meaning(watched.status, status):
            await self._write_status(watched, explained(status, subject.policy, verdict))

    async def _write_status(self, watched: Watched, status: Mapping[str, Any]) -> None:
        problem = await self.status.write(watched.body, status)
        self.metrics.observe_status_write(problem.reason if problem else None)
        if problem is not None:
            logger.warning("status not written", extra=_labels(watched) | {"problem": problem.why})
            return
        watched.status = status
        watched.status_written_at = self.clock.now()


def _misses_members(watched: Watched) -> bool:
    """Whether members are awaited, are all gone, or came and went of late."""
    if watched.memory.awaited is not None:
        return True
    if not watched.history.samples:
        return False
    group = watched.history.samples[-1].group
    is_empty = isinstance(group, Group) and not group.members
    return is_empty or unrest(watched.history).left >= CRASHING_MEMBERS


def _is_changed_by_others(watched: Watched, current: Replicas) -> bool:
    """Whether the number is not the expected one; a change of ours whose answer was lost is ours."""
    expected, lost = watched.memory.expected_replicas, watched.unanswered
    if expected is None or current.spec == expected:
        return False
    return lost is None or current.spec != lost.after


def _numbers(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """The status without its memory and its prose, which move on with the clock alone."""
    return {key: value for key, value in status.items() if key not in ("memory", "explanation")}


def _labels(watched: Watched) -> dict[str, Any]:
    return {"namespace": watched.namespace, "scaler": watched.name}
