"""The KafkaConsumerScalers that are watched, fed by the watch and by a periodic LIST.

A watch that expired (410) never tells of what was deleted in the gap, so whatever a LIST does not name is dropped.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kafka_consumer_scaler.api.conditions import conditions_by_type
from kafka_consumer_scaler.api.memory import memory_from_status
from kafka_consumer_scaler.api.reaching import Kafka
from kafka_consumer_scaler.api.upstream import Lease, leases_from_status
from kafka_consumer_scaler.api.v1alpha1 import FINALIZER, InvalidSpec, KafkaConsumerScaler
from kafka_consumer_scaler.control.ports import Clock
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import Mode, Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Replicas, Unknown
from kafka_consumer_scaler.core.verdict import Verdict
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.entities import Entity
from kafka_consumer_scaler.kafka.sample import GroupQuery
from kafka_consumer_scaler.kube.target import Target


@dataclass(frozen=True, slots=True)
class Subject:
    """What a readable resource asks for: one group of one cluster, and the workload that consumes it.

    `kafka` is what the resource says of the cluster; how it is reached is looked up, and changes by itself.
    `tells_producers` is whether the safe rate is told in the status.
    """

    generation: int
    created_at: float
    policy: Policy
    kafka: Kafka
    query: GroupQuery
    target: Target
    tells_producers: bool = False

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> Subject:
        """Read the resource. Raises InvalidSpec."""
        scaler = KafkaConsumerScaler.parse(body)
        policy, ref = scaler.policy(), scaler.spec.scale_target_ref
        return cls(
            generation=scaler.generation,
            created_at=scaler.created_at,
            policy=policy,
            kafka=scaler.spec.kafka,
            query=GroupQuery(scaler.spec.consumer_group, policy.topics, policy.topic_pattern, policy.offset_reset,
                             policy.isolation_level, with_leaders=bool(policy.quotas)),
            tells_producers=scaler.spec.backpressure is not None,
            target=Target(ref.api_version, ref.kind, scaler.namespace, ref.name),
        )


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A change of replicas that was asked for at a time (seconds since the epoch), and may have been carried out."""

    verdict: Verdict
    before: int
    after: int
    at: float


@dataclass(slots=True, eq=False)
class Upstream:
    """What is known of the quotas of a resource's producers.

    Args:
        leases: those of the status, or those that it is about to have.
        wanted: bytes/s of each broker that each entity is to be held to; None before it was first said.
        trouble: why producers are not held back, or not let go; None while nothing is in the way.
        is_usable: whether the broker was asked, and quotas can be set that have an effect.
        is_held: whether the resource carries the finalizer, as last known.
        given_up: why a lease was given up; none is begun until the generation is another than `given_up_under`.
        doubtful: whose quota was not as it was set at the last look.
        connection: where the leases were last compared.
        stirred: set when there is news for whoever keeps the leases.
    """

    leases: tuple[Lease, ...] = ()
    wanted: Mapping[Entity, int] | None = None
    trouble: Unknown | None = None
    is_usable: bool = False
    is_held: bool = False
    given_up: Unknown | None = None
    given_up_under: int = 0
    doubtful: frozenset[Entity] = frozenset()
    connection: Connection | None = None
    stirred: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True, eq=False)
class Watched:
    """One resource and what the loop knows of it. Mutable: the loop's own notebook, one page for each uid.

    `subject` is None while the resource cannot be read; `problem` then says why. `connection` is None while it is
    looked up for the first time, and Unknown when the resource's cluster cannot be reached; `servers` are the last
    that were known. `start_seconds` is how long its pods take to start, asked until a scale-up measured it. Who
    reconciles it holds `busy`.
    """

    body: Mapping[str, Any]
    subject: Subject | None
    problem: str
    memory: Memory
    status: Mapping[str, Any]
    history: History = field(default_factory=History)
    status_written_at: float = 0.0
    replicas: Replicas | None = None
    replicas_read_at: float = 0.0
    start_seconds: float | None = None
    start_asked_at: float = 0.0
    unanswered: Unanswered | None = None
    due_at: float = 0.0
    connection: Connection | Unknown | None = None
    servers: str = ""
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    upstream: Upstream = field(default_factory=Upstream)

    @property
    def is_leaving(self) -> bool:
        """Whether it was deleted, and is there only until its quotas are put back."""
        return bool(self.body["metadata"].get("deletionTimestamp"))

    @property
    def uid(self) -> str:
        """The resource's identity; a recreated resource has another."""
        return str(self.body["metadata"]["uid"])

    @property
    def namespace(self) -> str:
        """The resource's namespace."""
        return str(self.body["metadata"]["namespace"])

    @property
    def name(self) -> str:
        """The resource's name."""
        return str(self.body["metadata"]["name"])


class Registry:
    """Resources by uid. `changed` is set whenever the set of them, or the spec of one, changes."""

    def __init__(self, clock: Clock, on_forget: Callable[[Watched], None] = lambda _: None) -> None:
        self._clock = clock
        self._on_forget = on_forget
        self._watched: dict[str, Watched] = {}
        self._by_target: defaultdict[Target, set[Watched]] = defaultdict(set)
        self.changed = asyncio.Event()
        self.listed_at: float | None = None

    def __len__(self) -> int:
        return len(self._watched)

    def __contains__(self, watched: Watched) -> bool:
        return self._watched.get(watched.uid) is watched

    def all(self) -> tuple[Watched, ...]:
        """Every resource, readable or not."""
        return tuple(self._watched.values())

    def uids(self) -> frozenset[str]:
        """The uids of all."""
        return frozenset(self._watched)

    def of(self, connection: Connection | None) -> tuple[tuple[Watched, Subject], ...]:
        """The resources whose groups live in this cluster, with what they ask for; None: those without a connection."""
        found = ((each, each.subject) for each in self._watched.values() if not each.is_leaving)
        return tuple((each, subject) for each, subject in found if subject and is_on(each, connection))

    def connections(self) -> frozenset[Connection | None]:
        """The clusters in use; None stands for resources without a connection."""
        known = (each.connection for each in self._watched.values() if each.subject)
        return frozenset(one if isinstance(one, Connection) else None for one in known if one is not None)

    def connect(self, watched: Watched, connection: Connection | Unknown | None) -> None:
        """How the resource's cluster is reached from now on. What changed is tried at once.

        Credentials may change under a history; what was seen of other brokers is forgotten.
        """
        if connection == watched.connection:
            return
        if isinstance(connection, Connection):
            if watched.servers not in ("", connection.bootstrap_servers):
                watched.history = History()
            watched.servers = connection.bootstrap_servers
        watched.connection = connection
        watched.due_at = 0.0

    def older_rival(self, watched: Watched, target: Target) -> Watched | None:
        """The oldest resource with the same target if that is another one: it scales, the younger ones refuse.

        One that only advises is nobody's rival.
        """
        scaling = [each for each in self._by_target[target] if each.subject and each.subject.policy.mode is Mode.ACTIVE]
        oldest = min(scaling, key=seniority, default=watched)
        return oldest if oldest is not watched else None

    def put(self, body: Mapping[str, Any]) -> None:
        """A resource was listed, added or modified.

        One that is being deleted is dropped at once, but for one whose quotas are to be put back first: that is kept,
        and is nobody's rival and in no poll.
        """
        metadata = body["metadata"]
        if metadata.get("deletionTimestamp") and not is_held(body):
            self.drop(str(metadata["uid"]))
            return
        known = self._watched.get(str(metadata["uid"]))
        if known is None:
            self._drop_namesake(str(metadata.get("namespace")), str(metadata.get("name")))
            new = self._new(body)
            self._watched[new.uid] = new
            self._index(new)
            self.changed.set()
        elif _generation(body) < _generation(known.body):
            return  # a LIST that began before the change which the watch has already told of
        elif _generation(body) > _generation(known.body):
            self._respecify(known, body)
            self.changed.set()
        else:
            known.body = body
        self._note_upstream(self._watched[str(metadata["uid"])])

    def _note_upstream(self, watched: Watched) -> None:
        upstream, was_held = watched.upstream, watched.upstream.is_held
        upstream.is_held = is_held(watched.body)
        if watched.is_leaving or upstream.is_held != was_held:
            self._unindex(watched)
            self._index(watched)
            upstream.stirred.set()
            self.changed.set()

    def drop(self, uid: str) -> None:
        """A resource was deleted."""
        gone = self._watched.pop(uid, None)
        if gone is not None:
            self._unindex(gone)
            gone.upstream.stirred.set()
            self._on_forget(gone)
            self.changed.set()

    def replace(self, bodies: Iterable[Mapping[str, Any]], before: frozenset[str] = frozenset()) -> None:
        """A whole LIST: all of it is put, and what was known `before` it was asked for and is not in it is dropped.

        What the watch told of while the LIST was under way may be missing in it, and is kept.
        """
        listed = {str(body["metadata"]["uid"]): body for body in bodies}
        for uid in before - set(listed):
            self.drop(uid)
        for body in listed.values():
            self.put(body)
        self.listed_at = self._clock.now()

    def _drop_namesake(self, namespace: str, name: str) -> None:
        for each in self.all():
            if (each.namespace, each.name) == (namespace, name):
                self.drop(each.uid)

    def _index(self, watched: Watched) -> None:
        if watched.subject is not None and not watched.is_leaving:
            self._by_target[watched.subject.target].add(watched)

    def _unindex(self, watched: Watched) -> None:
        if watched.subject is not None:
            sharers = self._by_target[watched.subject.target]
            sharers.discard(watched)
            if not sharers:
                del self._by_target[watched.subject.target]

    def _new(self, body: Mapping[str, Any]) -> Watched:
        subject, problem = _parse(body)
        status = body.get("status") or {}
        memory = memory_from_status(status, self._clock.now())
        return Watched(body, subject, problem, memory, status, upstream=_upstream(body, status))

    def _respecify(self, known: Watched, body: Mapping[str, Any]) -> None:
        """A changed spec: what was seen of another group is forgotten, a changed limit keeps the history."""
        before = known.subject
        self._unindex(known)
        known.body = body
        known.subject, known.problem = _parse(body)
        self._index(known)
        known.due_at = 0.0
        known.replicas = None
        known.upstream.stirred.set()
        if before is None or known.subject is None or _watches(before) != _watches(known.subject):
            known.history = History()


def is_held(body: Mapping[str, Any]) -> bool:
    """Whether the resource carries our finalizer."""
    return FINALIZER in (body["metadata"].get("finalizers") or ())


def _upstream(body: Mapping[str, Any], status: Mapping[str, Any]) -> Upstream:
    """What the status tells of leases, and of one that was given up under this very generation."""
    given_up = conditions_by_type(status).get(Reason.QUOTA_CHANGED, {})
    is_so = given_up.get("status") == "True" and given_up.get("observedGeneration") == _generation(body)
    why = Unknown(str(given_up.get("message")), Reason.QUOTA_CHANGED) if is_so else None
    leases = leases_from_status(status)
    return Upstream(leases, trouble=why, is_usable=bool(leases) and why is None, is_held=is_held(body), given_up=why,
                    given_up_under=_generation(body))


def _watches(subject: Subject) -> tuple[Kafka, GroupQuery]:
    return subject.kafka, subject.query


def is_on(watched: Watched, connection: Connection | None) -> bool:
    """Whether the resource's group is asked for there; None is for those without a connection."""
    return isinstance(watched.connection, Unknown) if connection is None else watched.connection == connection


def _parse(body: Mapping[str, Any]) -> tuple[Subject | None, str]:
    try:
        return Subject.parse(body), ""
    except InvalidSpec as error:
        return None, str(error)


def _generation(body: Mapping[str, Any]) -> int:
    return int(body["metadata"].get("generation") or 0)


def seniority(watched: Watched) -> tuple[float, str]:
    """The older, the less. The creation time has a resolution of one second, so the uid breaks a tie."""
    return watched.subject.created_at if watched.subject else 0.0, watched.uid
