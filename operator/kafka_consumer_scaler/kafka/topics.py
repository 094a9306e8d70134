"""Which partitions a topic has: asked at most once a minute, and at once again after a sign that the answer is old."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from confluent_kafka import KafkaError

from kafka_consumer_scaler.core.snapshot import TopicPartition, Unknown
from kafka_consumer_scaler.kafka.admin import Admin
from kafka_consumer_scaler.kafka.errors import is_silence, unknown_because


@dataclass(frozen=True, slots=True)
class Layout:
    """A topic's partitions, those of them that nobody leads, and the ids of the brokers that lead the others.

    `read_at` is of the monotonic clock.
    """

    partitions: tuple[TopicPartition, ...]
    leaderless: frozenset[TopicPartition]
    read_at: float
    leaders: Mapping[TopicPartition, int] = field(default_factory=dict)


class TopicCache:
    """What is known of a cluster's topics, for `ttl_seconds`. Failures are not kept."""

    def __init__(self, admin: Admin, ttl_seconds: float) -> None:
        self._admin, self._ttl_seconds = admin, ttl_seconds
        self._layouts: dict[str, Layout] = {}
        self._names: tuple[float, frozenset[str]] | None = None

    def names(self, by: float) -> frozenset[str] | Unknown:
        """The names of all topics."""
        if self._names is None or self._is_old(self._names[0]):
            answer = self._admin.topic_names(by)
            if isinstance(answer, KafkaError):
                return unknown_because(answer, "the list of topics")
            self._names = time.monotonic(), answer
        return self._names[1]

    def layouts(self, names: Collection[str], by: float) -> dict[str, Layout | Unknown]:
        """The partitions of each topic. Topics that are not asked for are forgotten."""
        due = [name for name in names if self._is_due(name)]
        answers = self._admin.topics(due, by)
        if any(map(is_silence, answers.values())):
            # The library puts this question to the controller alone, and waits for one that is gone; from the list of
            # topics it learns who is the controller now.
            self._names = None
            self.names(by + 1)
        layouts = {name: _layout(name, answers[name], self._layouts.get(name)) for name in due}
        layouts |= {name: self._layouts[name] for name in names if name not in layouts}
        self._layouts = {name: layout for name, layout in layouts.items() if isinstance(layout, Layout)}
        return layouts

    def leaderless(self) -> frozenset[TopicPartition]:
        """The partitions, of the topics last asked for, that nobody leads.

        The library answers for none of a request's partitions when one of them has no leader.
        """
        return frozenset[TopicPartition]().union(*(known.leaderless for known in self._layouts.values()))

    def leaders(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The brokers that led the partitions when their topics were last asked for; none for what is not known."""
        layouts = {tp: self._layouts.get(tp.topic) for tp in partitions}
        return {tp: known.leaders[tp] for tp, known in layouts.items() if known and tp in known.leaders}

    def suspect(self, topic: str) -> None:
        """Something about this topic was not as expected: ask again next time."""
        if topic in self._layouts:
            self._layouts[topic] = replace(self._layouts[topic], read_at=-math.inf)
        self._names = None

    def _is_due(self, topic: str) -> bool:
        known = self._layouts.get(topic)
        return known is None or bool(known.leaderless) or self._is_old(known.read_at)

    def _is_old(self, read_at: float) -> bool:
        return time.monotonic() - read_at >= self._ttl_seconds


def _layout(topic: str, said: Any, old: Layout | None) -> Layout | Unknown:
    """The layout from an answer. Partitions never go away, so when the answer is silence the old layout is good."""
    if isinstance(said, KafkaError):
        return old if old and is_silence(said) else unknown_because(said, f"topic {topic}")
    leaders = {TopicPartition(topic, one.id): one.leader for one in said.partitions}
    leaderless = frozenset(tp for tp, leader in leaders.items() if leader is None)
    ids = {tp: leader.id for tp, leader in leaders.items() if leader is not None}
    return Layout(tuple(sorted(leaders)), leaderless, time.monotonic(), ids)
