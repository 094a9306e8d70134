"""Reads the offsets of many groups of one cluster in one go.

The order of the questions is a law: committed offsets before end offsets. A consumer commits what it has read, so its
committed offset never passes the end that is read later, and no lag is negative or hides a record. Worked: committed 90
is read, ten records arrive and all are processed, end 110 is read: lag 20, an upper bound. The other way round, end 100
and then committed 110: lag -10.

One poll asks a DescribeGroups and then an OffsetFetch for each group, all groups in flight together; then one
ListOffsets of each partition leader, for all groups together; and once in `cache_seconds` the partitions of the topics,
and the log starts of the partitions that lag or have no commit. `details.py` adds what is asked less often, and
`group_types.py` the type of a group that its coordinator calls Dead.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from confluent_kafka import KafkaError

from kafka_consumer_scaler.core.policy import IsolationLevel
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Group, Reading, TopicPartition, Unknown
from kafka_consumer_scaler.kafka.admin import Admin, Place
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.denied import Denied
from kafka_consumer_scaler.kafka.details import DetailsCache
from kafka_consumer_scaler.kafka.errors import is_absence, is_silence, is_timeout, unknown_because
from kafka_consumer_scaler.kafka.group_types import GroupTypes, not_served
from kafka_consumer_scaler.kafka.groups import Committed, committed_of, group_of
from kafka_consumer_scaler.kafka.readings import (
    Ends,
    Starts,
    Wanted,
    matching,
    needing_start,
    no_offsets,
    partitions_of,
    readings_of,
)
from kafka_consumer_scaler.kafka.sample import GroupQuery, GroupSample
from kafka_consumer_scaler.kafka.topics import TopicCache

__all__ = ["GroupQuery", "GroupSample", "LagSource"]


class LagSource:
    """The offsets of one cluster. Synchronous, for one thread.

    Args:
        cache_seconds: how long partitions of topics, log starts and high watermarks are believed.
    """

    def __init__(self, connection: Connection, cache_seconds: float = 60.0) -> None:
        self._admin = Admin(connection)
        self._topics = TopicCache(self._admin, cache_seconds)
        self._details = DetailsCache(connection, cache_seconds)
        self._types = GroupTypes(connection)
        self._denied = Denied()
        self._cache_seconds = cache_seconds
        self._starts: dict[TopicPartition, tuple[float, int]] = {}

    def poll(self, queries: Sequence[GroupQuery], deadline_seconds: float) -> list[GroupSample]:
        """A sample for each query, in the same order, within the deadline and a second; Kafka's errors are answers.

        Coordinators have half of the time, so that a silent one costs only its own groups their sample.
        """
        known = self._denied.answers(queries, time.monotonic())
        due = [query for query in dict.fromkeys(queries) if query not in known]
        asked = dict(zip(due, self._asked(due, deadline_seconds), strict=True)) if due else {}
        self._denied.note(asked.items(), time.monotonic())
        answers = {**known, **asked}
        return [answers[query] for query in queries]

    def _asked(self, queries: Sequence[GroupQuery], deadline_seconds: float) -> list[GroupSample]:
        began = time.monotonic()
        if (refused := self._admin.enter(began + 0.35 * deadline_seconds)) is not None:
            return [GroupSample.unknown(refused) for _ in queries]
        groups = list(dict.fromkeys(query.group for query in queries))
        described = self._admin.described(groups, began + 0.35 * deadline_seconds)
        if described and all(map(is_silence, described.values())):
            silence = self._silence(began + deadline_seconds)
            return [GroupSample.unknown(silence) for _ in queries]
        states = {group: group_of(group, said) for group, said in described.items()}
        self._types.begin(states)
        committed = self._committed(described, began + 0.5 * deadline_seconds)
        partitions = self._partitions(queries, committed, began, deadline_seconds)
        types = self._types.told(states, began + 0.45 * deadline_seconds)
        problems = {group: not_served(group, told, committed[group]) for group, told in types.items()}
        return [
            GroupSample.unknown(problem) if (problem := problems.get(query.group)) is not None
            else self._sample(query, partitions[query], states[query.group])
            for query in queries
        ]

    def _silence(self, by: float) -> Unknown:
        """Why no coordinator answered: because no broker does, or in spite of brokers that do."""
        said = self._admin.topic_names(min(by, time.monotonic() + 2))
        if not isinstance(said, KafkaError):
            return Unknown("brokers answer, but no group coordinator did in time", Reason.COORDINATOR_UNAVAILABLE)
        return self._admin.silence(said)

    def _committed(self, described: Mapping[str, Any], by: float) -> dict[str, Committed | Unknown]:
        """Committed offsets, asked only of coordinators that have just described the group.

        The library crashes on the answer of a coordinator that is moving or loading (librdkafka #5040); the same
        answer to a description is an error like any other.
        """
        absent = {group: said for group, said in described.items() if is_absence(said)}
        said = self._admin.committed([group for group in described if group not in absent], by)
        return {group: committed_of(group, answer) for group, answer in (said | absent).items()}

    def _partitions(
        self, queries: Sequence[GroupQuery], committed: Mapping[str, Committed | Unknown], began: float, seconds: float
    ) -> dict[GroupQuery, dict[TopicPartition, Reading | Unknown] | Unknown]:
        wanted = self._wanted(queries, committed, began + 0.65 * seconds)
        ends = self._ends(wanted, began + 0.85 * seconds)
        needed = needing_start(wanted, committed, ends)
        starts = self._log_starts_and_measure(needed, ends, began + 0.95 * seconds)
        return {query: readings_of(query, wanted[query], committed[query.group], ends, starts) for query in queries}

    def _log_starts_and_measure(self, needed: Mapping[TopicPartition, int], ends: Ends, by: float) -> Starts:
        """The log starts that readings need, and no others: the measure of the records must make no reading Unknown."""
        unmeasured = self._details.unmeasured(ends)
        starts = self._log_starts({**unmeasured, **needed}, by)
        self._details.measure(unmeasured, starts)
        return {tp: starts[tp] for tp in needed}

    def _wanted(self, queries: Iterable[GroupQuery], committed: Mapping[str, Committed | Unknown], by: float) -> Wanted:
        names = {query: self._topic_names(query, committed[query.group], by) for query in queries}
        union = {topic for topics in names.values() if not isinstance(topics, Unknown) for topic in topics}
        layouts = self._topics.layouts(union, by)
        return {query: partitions_of(topics, layouts) for query, topics in names.items()}

    def _topic_names(self, query: GroupQuery, committed: Committed | Unknown, by: float) -> Sequence[str] | Unknown:
        if isinstance(committed, Unknown):
            return committed
        if query.topic_pattern is None:
            return sorted(set(query.topics) or {tp.topic for tp in committed})
        names = self._topics.names(by)
        return names if isinstance(names, Unknown) else matching(query.topic_pattern, names)

    def _ends(self, wanted: Wanted, by: float) -> Ends:
        """End offsets of the union of all partitions, at each isolation level in use, and the high watermarks due."""
        lists = [(query.isolation_level, tps) for query, tps in wanted.items() if not isinstance(tps, Unknown)]
        places = {(level, tp) for level, tps in lists for tp in tps}
        due = self._details.watermarks_due(places)
        ends = self._offsets("latest", places | due, by)
        self._details.keep_watermarks(due, ends)
        return ends

    def _log_starts(self, needed: Mapping[TopicPartition, int], by: float) -> Starts:
        """The log starts of the partitions whose ends are given. A log start only grows: an old one is a lower bound.

        A remembered start above the end is that of a topic which was deleted and made again, so it is not believed.
        """
        oldest = time.monotonic() - self._cache_seconds
        known = {tp: self._starts[tp] for tp in needed if tp in self._starts}
        fresh = {tp: entry for tp, entry in known.items() if entry[0] > oldest and entry[1] <= needed[tp]}
        missing = [tp for tp in needed if tp not in fresh]
        answers = self._offsets("earliest", [(IsolationLevel.READ_UNCOMMITTED, tp) for tp in missing], by)
        said = {tp: start for (_, tp), start in answers.items()}
        now = time.monotonic()
        self._starts = fresh | {tp: (now, start) for tp, start in said.items() if isinstance(start, int)}
        return said | {tp: start for tp, (_, start) in fresh.items()}

    def _offsets(self, which: str, places: Collection[Place], by: float) -> dict[Place, int | Unknown]:
        leaderless = self._topics.leaderless()
        asked = [place for place in places if place[1] not in leaderless]
        answers = self._admin.offsets(which, asked, by)
        return {place: self._judged(place[1], answers.get(place)) for place in places}

    def _judged(self, tp: TopicPartition, answer: Any) -> int | Unknown:
        if answer is None:
            return Unknown(f"partition {tp} has no leader", Reason.BROKERS_UNREACHABLE)
        if not isinstance(answer, KafkaError):
            return int(answer)
        self._topics.suspect(tp.topic)
        if is_timeout(answer):
            return Unknown(f"the leader of partition {tp} did not answer in time", Reason.BROKERS_UNREACHABLE)
        return unknown_because(answer, f"partition {tp}")

    def _sample(
        self, query: GroupQuery, partitions: dict[TopicPartition, Reading | Unknown] | Unknown, group: Group | Unknown
    ) -> GroupSample:
        told = no_offsets(query.group, group) if partitions == {} else partitions
        details = self._details.of(query, partitions)
        if query.with_leaders and not isinstance(partitions, Unknown):
            details = replace(details, leaders=self._topics.leaders(partitions))
        return GroupSample(told, group, details)
