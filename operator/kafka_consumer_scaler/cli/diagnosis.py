"""A diagnosis as `diagnose` prints it: one plain object, printed as JSON or as text; docs/diagnose.md names its keys.

A number that is not known is null, and `unknown` says why. The text is made of the object alone, so both say the same.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import isfinite
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from kafka_consumer_scaler.api.rules import one_line
from kafka_consumer_scaler.api.status import explanation_as_status
from kafka_consumer_scaler.cli.prospect import prospect_of
from kafka_consumer_scaler.cli.rendering import (
    bullet,
    console_on,
    duration,
    heading,
    indented,
    print_explanation,
    print_findings,
    print_parts,
    rate,
    records,
)
from kafka_consumer_scaler.cli.watching import Watch
from kafka_consumer_scaler.core.capacity import Capacity
from kafka_consumer_scaler.core.diagnosis import RETENTION_WATCHED_SECONDS, Finding
from kafka_consumer_scaler.core.explain import explain
from kafka_consumer_scaler.core.findings import USUAL_SECONDS_AT_LEAST
from kafka_consumer_scaler.core.membership import HUNG_SECONDS
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Group, Unknown
from kafka_consumer_scaler.core.verdict import Verdict
from kafka_consumer_scaler.core.waiting import oldest

VERSION: Final = 1
"""Of the object: it grows by keys; a key that goes or changes its meaning makes another version."""
TOPICS_SHOWN: Final = 5
KNOWN_BY: Final = {"measured": "measured while they were busy", "busy": "seen busy, not yet for long",
                   "atLeast": "at least: they were not all busy"}


def diagnosis(group: str, servers: str, watch: Watch) -> dict[str, Any]:
    """The object.

    Args:
        group: the group's name.
        servers: the brokers that were asked.
        watch: with a verdict whose situation is known.
    """
    verdict = watch.verdict
    if verdict is None or isinstance(verdict.situation, Unknown):
        raise ValueError("nothing is known of the group")
    situation, unknown = verdict.situation, dict[str, str]()
    return {
        "version": VERSION,
        "group": group,
        "bootstrapServers": servers,
        "watched": _watched(watch),
        "objective": {"lagSeconds": watch.wish.lag_seconds},
        "withinObjective": _within(situation, watch.wish.lag_seconds),
        "backlog": str(verdict.backlog),
        "topics": _topics(situation),
        **_numbers(verdict, situation, unknown),
        **_members(watch.group, situation, unknown),
        "findings": [_finding(finding) for finding in verdict.findings],
        "explanation": _explanation(watch, verdict),
        "recommendation": prospect_of(watch.policy, verdict),
        "message": one_line(verdict.message),
        "notes": [one_line(note) for note in _notes(watch, situation)],
        "unknown": unknown,
    }


def print_diagnosis(found: Mapping[str, Any]) -> None:
    """Print the object as text."""
    console = console_on(sys.stdout)
    title = f"Group {_line(found['group'])}: {found['backlog']}, {_verdict_words(found)}"
    print_parts(console, [Text(title, "bold"), indented(_table(found))])
    print_findings(console, found["findings"])
    print_explanation(console, found["explanation"])
    notes = [heading("Notes"), *(bullet(note) for note in found["notes"])] if found["notes"] else []
    print_parts(console, [heading("Recommendation"), bullet(found["recommendation"]["sentence"]), *notes])


def _watched(watch: Watch) -> dict[str, Any]:
    return {"seconds": round(watch.seconds, 1), "polls": watch.polls, "failedPolls": watch.failures,
            "interrupted": watch.is_interrupted}


def _within(situation: Situation, objective: float) -> bool | None:
    """Whether the oldest record that waits is younger than the objective; None where its age is not known."""
    age = oldest(situation.ages)
    return None if isinstance(age, Unknown) else age <= objective


def _topics(situation: Situation) -> list[dict[str, Any]]:
    partitions = Counter(tp.topic for tp in situation.lag)
    lag = Counter[str]()
    for tp, behind in situation.lag.items():
        lag[tp.topic] += behind
    return [{"name": name, "partitions": partitions[name], "lag": lag[name]} for name in sorted(partitions)]


def _numbers(verdict: Verdict, situation: Situation, unknown: dict[str, str]) -> dict[str, Any]:
    measured, capacity = verdict.measurements, situation.rates.capacity
    return {
        "partitions": len(situation.lag),
        "lag": situation.lag_records,
        "lagSeconds": _known("lagSeconds", situation.age, unknown),
        "arrival": _known("arrival", measured.arrival, unknown),
        "drain": _known("drain", measured.drain, unknown),
        "capacityPerConsumer": _known("capacityPerConsumer", measured.capacity_per_consumer, unknown),
        "capacityKnownBy": None if isinstance(capacity, Unknown) else _known_by(capacity),
        "commitIntervalSeconds": _known("commitIntervalSeconds", situation.commit_interval, unknown),
    }


def _known(name: str, value: float | Unknown, unknown: dict[str, str]) -> float | None:
    """The value to three decimals; why there is none goes to `unknown`."""
    if isinstance(value, Unknown):
        unknown[name] = one_line(value.why)
        return None
    return round(value, 3) if isfinite(value) else None


def _known_by(capacity: Capacity) -> str:
    return "measured" if capacity.learned else "busy" if capacity.busy else "atLeast"


def _members(group: Group | Unknown, situation: Situation, unknown: dict[str, str]) -> dict[str, Any]:
    if isinstance(group, Unknown):
        unknown["members"] = one_line(group.why)
        return {"state": None, "assignor": None, "members": None, "idleMembers": None}
    idle = sum(not member.partitions for member in group.members)
    return {"state": one_line(group.state), "assignor": one_line(group.assignor) or None,
            "members": len(group.members), "idleMembers": 0 if group.is_rebalancing else idle}


def _finding(finding: Finding) -> dict[str, str]:
    return {"name": str(finding.reason), "evidence": one_line(finding.evidence), "remedy": one_line(finding.remedy)}


def _explanation(watch: Watch, verdict: Verdict) -> dict[str, Any]:
    """In the shape of `status.explanation`, without what could be changed in a resource: there is none."""
    explained = explain(watch.policy, verdict)
    return explanation_as_status(replace(explained, otherwise=tuple(
        sentence for sentence in explained.otherwise if "spec." not in sentence)))


def _notes(watch: Watch, situation: Situation) -> Iterator[str]:
    """What the reader must know of how it came about."""
    if watch.is_interrupted:
        yield f"interrupted after {watch.seconds:.0f} s"
    if watch.failures and watch.problem:
        yield f"{watch.failures} of {watch.polls} polls failed, the last one because: {watch.problem.why}"
    if watch.seconds < watch.wish.lag_seconds and situation.lag_records:
        yield "watched for less than the objective: what waited before is older than it seems"
    if watch.policy.consumer_threads != watch.wish.consumer_threads:
        yield (f"the members are no multiple of {watch.wish.consumer_threads} consumer threads, so each counts as a "
               "replica")
    yield from _unwatched(watch, situation)


def _unwatched(watch: Watch, situation: Situation) -> Iterator[str]:
    """What could not have been found in so short a time, so that its absence is not taken for an answer."""
    timed = ((Reason.RETENTION_RISK, RETENTION_WATCHED_SECONDS), (Reason.HUNG_TRANSACTION, HUNG_SECONDS))
    missed = [f"{reason} (takes {seconds:.0f} s)" for reason, seconds in timed if watch.seconds < seconds]
    usual = situation.memory.usual
    if usual is None or usual.seconds < USUAL_SECONDS_AT_LEAST:
        caught_up = f"(take {USUAL_SECONDS_AT_LEAST:.0f} s of the group caught up)"
        missed.append(f"{Reason.PRODUCER_SPIKE} and {Reason.SLOW_CONSUMERS} {caught_up}")
    if missed:
        yield f"not watched for long enough to find {', '.join(missed)}: see --for"


def _verdict_words(found: Mapping[str, Any]) -> str:
    objective = f"the objective of {found['objective']['lagSeconds']:g} s"
    if found["withinObjective"] is None:
        return f"and whether it is within {objective} is not known"
    return f"within {objective}" if found["withinObjective"] else f"over {objective}"


def _table(found: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 3, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for name, value in _rows(found):
        table.add_row(name, Text(value))
    return table


def _rows(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    watched, capacity = found["watched"], _shown(found, "capacityPerConsumer", rate)
    yield "topics", _topic_words(found["topics"])
    yield "lag", f"{records(found['lag'])} records on {found['partitions']} partitions"
    yield "oldest record", _shown(found, "lagSeconds", duration)
    yield "arrival", _shown(found, "arrival", rate)
    yield "drain", _shown(found, "drain", rate)
    how = found["capacityKnownBy"]
    yield "capacity per consumer", f"{capacity} ({KNOWN_BY[how]})" if how else capacity
    yield "members", _member_words(found)
    yield "assignor", found["assignor"] or "?"
    yield "commits", _shown(found, "commitIntervalSeconds", lambda seconds: f"about every {duration(seconds)}")
    yield "watched", f"{duration(watched['seconds'])}, {watched['polls']} polls of {_line(found['bootstrapServers'])}"


def _shown(found: Mapping[str, Any], name: str, form: Any) -> str:
    """The number, or why there is none."""
    value = found[name]
    return f"? ({found['unknown'].get(name, 'not known')})" if value is None else form(value)


def _topic_words(topics: list[Mapping[str, Any]]) -> str:
    """Those with most lag first: `orders (12 partitions, 1,200 behind), returns (3, 0)`."""
    most = sorted(topics, key=lambda topic: (-topic["lag"], topic["name"]))
    shown = [f"{_line(one['name'])} ({one['partitions']} partitions, {records(one['lag'])} behind)"
             for one in most[:TOPICS_SHOWN]]
    more = [f"{len(most) - TOPICS_SHOWN} more"] if len(most) > TOPICS_SHOWN else []
    return ", ".join([*shown, *more])


def _member_words(found: Mapping[str, Any]) -> str:
    if found["members"] is None:
        return f"? ({found['unknown'].get('members', 'not known')})"
    idle = f", {found['idleMembers']} of them without a partition" if found["idleMembers"] else ""
    return f"{found['members']}{idle}; the group is {found['state']}"


def _line(text: str) -> str:
    return one_line(text, 256)
