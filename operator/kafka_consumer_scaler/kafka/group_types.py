"""Which type a group has that its coordinator calls Dead.

librdkafka asks for classic groups and for groups of the consumer protocol (KIP-848). For a share group, a streams group
and a group that does not exist it answers the same: Dead, without members. Only ListGroups from version 5 on tells them
apart, and one request to each broker tells the types of all groups, so kafka-python asks, and only while a group is
Dead.

A Dead group is asked about at once, then after 5 s, 10 s and so on up to 60 s. One request answers for all groups that
are due then.

    type told             what is known of the group
    share, streams        nothing: `GroupTypeNotSupported`
    classic, consumer     what the coordinator says: it exists since a moment
    none                  it does not exist, or the brokers are too old for a group of another type
    no answer             whether it exists: Unknown, unless it has committed offsets, which a share group never has
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Group, Unknown
from kafka_consumer_scaler.kafka.brokers import group_types
from kafka_consumer_scaler.kafka.client import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS
from kafka_consumer_scaler.kafka.connection import Connection
from kafka_consumer_scaler.kafka.groups import Committed

THREAD = "group-types"
SERVED = frozenset({"", "classic", "consumer"})
"""Types that this program serves. The empty one is that of a group that no broker listed with a type."""
FORGOTTEN_SECONDS = 10 * LONGEST_PAUSE_SECONDS
"""A group that was not Dead for so long is asked about at once when it is again."""

Types = Mapping[str, str]
Ask = Callable[[Connection, Collection[str]], "Types | Unknown"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A type that was told, or why none was; asked about again at `until`, of the monotonic clock."""

    said: str | Unknown
    until: float
    pause_seconds: float

    @classmethod
    def after(cls, last: Answer | None, said: str | Unknown, now: float) -> Answer:
        """The answer that follows the last one.

        Without an answer a type that is not served stays known; the brokers are asked again after the first pause.
        """
        if last is None:
            return cls(said, now + FIRST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS)
        if isinstance(said, Unknown):
            kept = said if isinstance(last.said, Unknown) or last.said in SERVED else last.said
            return cls(kept, now + FIRST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS)
        pause = min(2 * last.pause_seconds, LONGEST_PAUSE_SECONDS)
        return cls(said, now + pause, pause)


class GroupTypes:
    """The types of one cluster's Dead groups. For one thread; the brokers are asked in another."""

    def __init__(self, connection: Connection, ask: Ask = group_types) -> None:
        self._connection, self._ask = connection, ask
        self._known: dict[str, Answer] = {}
        self._asked: frozenset[str] = frozenset()
        self._answer: Future[Types | Unknown] | None = None

    def begin(self, states: Mapping[str, Group | Unknown]) -> None:
        """Begin to ask about the Dead groups that are due; returns at once."""
        self._take(0.0)
        now = time.monotonic()
        due = frozenset(group for group, state in states.items() if is_dead(state) and self._is_due(group, now))
        if due and self._answer is None:
            self._asked, self._answer = due, Future()
            _start(self._answer, self._ask, self._connection, due)

    def told(self, states: Mapping[str, Group | Unknown], by: float) -> dict[str, str | Unknown]:
        """The type of each Dead group, waited for up to a time of the monotonic clock."""
        dead = [group for group, state in states.items() if is_dead(state)]
        if any(group in self._asked for group in dead):
            self._take(by - time.monotonic())
        late = Unknown("the brokers did not list their groups in time")
        return {group: self._known[group].said if group in self._known else late for group in dead}

    def _is_due(self, group: str, now: float) -> bool:
        return group not in self._known or now >= self._known[group].until

    def _take(self, seconds: float) -> None:
        """Keep the answer if there is one within so many seconds."""
        if self._answer is None:
            return
        try:
            said = self._answer.result(timeout=max(0.0, seconds))
        except NotYet:
            return
        now = time.monotonic()
        fresh = {
            group: Answer.after(self._known.get(group), said if isinstance(said, Unknown) else said.get(group, ""), now)
            for group in self._asked
        }
        kept = {group: answer for group, answer in self._known.items() if now - answer.until < FORGOTTEN_SECONDS}
        self._known, self._asked, self._answer = kept | fresh, frozenset(), None


def is_dead(state: Group | Unknown) -> bool:
    """Whether the coordinator knows no group of the types that it was asked for."""
    return isinstance(state, Group) and state.state == "Dead"


def not_served(group: str, told: str | Unknown, committed: Committed | Unknown) -> Unknown | None:
    """Why nothing may be concluded about a Dead group; None where its offsets tell the truth."""
    if isinstance(told, Unknown):
        if committed and not isinstance(committed, Unknown):
            return None
        what = f"group {group}: its coordinator knows no consumer group of this name"
        return Unknown(f"{what}, and whether there is one of another type could not be read: {told.why}", told.reason)
    if told in SERVED:
        return None
    what = f"group {group} is a {told} group, which is not served yet: its lag and its members are not known"
    return Unknown(what, Reason.GROUP_TYPE_NOT_SUPPORTED)


def _start(answer: Future[Types | Unknown], ask: Ask, connection: Connection, groups: Collection[str]) -> None:
    """Ask in a thread of its own, since kafka-python waits for a silent broker for longer than a poll may."""

    def run() -> None:
        said: Types | Unknown = Unknown("listing the groups failed")
        try:
            said = ask(connection, groups)
        finally:
            answer.set_result(said)

    try:
        threading.Thread(target=run, name=THREAD, daemon=True).start()
    except RuntimeError:  # there are too many threads
        answer.set_result(Unknown("there is no thread left to list the groups in"))
