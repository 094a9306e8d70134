"""Puts the answers together: which log starts are needed, and what is known of each partition that a query names."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import re2

from kafka_consumer_scaler.core.policy import IsolationLevel
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Group, Reading, TopicPartition, Uncommitted, Unknown
from kafka_consumer_scaler.kafka.groups import Committed
from kafka_consumer_scaler.kafka.sample import GroupQuery
from kafka_consumer_scaler.kafka.topics import Layout

Wanted = Mapping[GroupQuery, "Sequence[TopicPartition] | Unknown"]
Ends = Mapping[tuple[IsolationLevel, TopicPartition], "int | Unknown"]
Starts = Mapping[TopicPartition, "int | Unknown"]


def matching(pattern: str, names: Collection[str]) -> Sequence[str] | Unknown:
    """The topics whose whole name matches; RE2 takes linear time, so no tenant's pattern can hold up the others."""
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options=options)
    except re2.error as problem:
        why = problem.args[0].decode(errors="replace")
        return Unknown(f"topicPattern {pattern!r} is not a regular expression: {why}", Reason.INVALID_SPEC)
    found = sorted(name for name in names if compiled.fullmatch(name))
    return found or Unknown(f"no topic matches topicPattern {pattern!r}", Reason.TOPIC_NOT_FOUND)


def partitions_of(
    topics: Sequence[str] | Unknown, layouts: Mapping[str, Layout | Unknown]
) -> list[TopicPartition] | Unknown:
    """All partitions of the topics; one topic that is unknown makes their number unknown."""
    if isinstance(topics, Unknown):
        return topics
    partitions: list[TopicPartition] = []
    for layout in (layouts[topic] for topic in topics):
        if isinstance(layout, Unknown):
            return layout
        partitions += layout.partitions
    return partitions


def needing_start(
    wanted: Wanted, committed: Mapping[str, Committed | Unknown], ends: Ends
) -> dict[TopicPartition, int]:
    """Partitions whose lag depends on the log start, with their ends: those without a commit, and those that lag."""
    needed = {}
    for query, partitions in wanted.items():
        offsets = committed[query.group]
        if isinstance(partitions, Unknown) or isinstance(offsets, Unknown):
            continue
        for tp in partitions:
            end, offset = ends[query.isolation_level, tp], offsets.get(tp, -1)
            if isinstance(end, int) and isinstance(offset, int) and offset < end:
                needed[tp] = end
    return needed


def readings_of(
    query: GroupQuery,
    wanted: Sequence[TopicPartition] | Unknown,
    committed: Committed | Unknown,
    ends: Ends,
    starts: Starts,
) -> dict[TopicPartition, Reading | Unknown] | Unknown:
    """What is known of each wanted partition. Nothing known about any of them is one Unknown for all."""
    if isinstance(wanted, Unknown):
        return wanted
    if isinstance(committed, Unknown):
        return committed
    level = query.isolation_level
    readings = {tp: _reading(committed.get(tp), ends[level, tp], starts.get(tp, 0)) for tp in wanted}
    problems = [reading for reading in readings.values() if isinstance(reading, Unknown)]
    return problems[0] if problems and len(problems) == len(readings) else readings


def _reading(committed: int | Unknown | None, end: int | Unknown, start: int | Unknown) -> Reading | Unknown:
    if isinstance(end, Unknown):
        return end
    if isinstance(committed, Unknown):
        return committed
    if isinstance(start, Unknown):
        return start
    return Reading(end, Uncommitted() if committed is None else committed, start)


def no_offsets(group: str, state: Group | Unknown) -> Unknown:
    """No topics are declared, and the group has no offsets that would name them."""
    what = "has no committed offsets"
    if isinstance(state, Group):
        what = "does not exist" if state.state == "Dead" else f"is {state.state} and has no committed offsets"
    return Unknown(f"group {group} {what}, and no topics are declared", Reason.NO_COMMITTED_OFFSETS)
