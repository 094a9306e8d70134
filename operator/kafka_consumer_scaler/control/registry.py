"""The KafkaConsumerScalers that are watched, fed by the watch and by a periodic LIST.

A watch that expired (410) never tells of what was deleted in the gap, so whatever a LIST does not name is dropped.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kafka_consumer_scaler.api.memory import memory_from_status
from kafka_consumer_scaler.api.reaching import Kafka
from kafka_consumer_scaler.api.v1alpha1 import InvalidSpec, KafkaConsumerScaler
from kafka_consumer_scaler.control.ports import Clock
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import Mode, Policy
from kafka_consumer_scaler.core.snapshot import Replicas, Unknown
from kafka_consumer_scaler.core.verdict import Verdict
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.sample import GroupQuery
from kafka_consumer_scaler.kube.target import Target


@dataclass(frozen=True, slots=True)
class Subject:
    """What a readable resource asks for: one group of one cluster, and the workload that consumes it.

    `kafka` is what the resource says of the cluster; how it is reached is looked up, and changes by itself.
    """

    generation: int
    created_at: float
    policy: Policy
    kafka: Kafka
    query: GroupQuery
    target: Target

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
                             policy.isolation_level),
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
class Watched:
    """One resource and what the loop knows of it. Mutable: the loop's own notebook, one page for each uid.

    `subject` is None while the resource cannot be read; `problem` then says why. `connection` is None while it is
    looked up for the first time, and Unknown when the resource's cluster cannot be reached; `servers` are the last
    that were known. Who reconciles it holds `busy`.
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
    unanswered: Unanswered | None = None
    due_at: float = 0.0
    connection: Connection | Unknown | None = None
    servers: str = ""
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)

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
        found = ((each, each.subject) for each in self._watched.values())
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
        """A resource was listed, added or modified. One that is being deleted is dropped at once."""
        metadata = body["metadata"]
        if metadata.get("deletionTimestamp"):
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

    def drop(self, uid: str) -> None:
        """A resource was deleted."""
        gone = self._watched.pop(uid, None)
        if gone is not None:
            self._unindex(gone)
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
        if watched.subject is not None:
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
        return Watched(body, subject, problem, memory_from_status(status, self._clock.now()), status)

    def _respecify(self, known: Watched, body: Mapping[str, Any]) -> None:
        """A changed spec: what was seen of another group is forgotten, a changed limit keeps the history."""
        before = known.subject
        self._unindex(known)
        known.body = body
        known.subject, known.problem = _parse(body)
        self._index(known)
        known.due_at = 0.0
        known.replicas = None
        if before is None or known.subject is None or _watches(before) != _watches(known.subject):
            known.history = History()


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
