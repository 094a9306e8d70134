"""A group watched for a while: the operator's own decisions on samples as they come, where nothing can be scaled.

There is no workload, so the members of the group stand for replicas: 6 members of 2 threads are 3 replicas, which are
all there, and no number but that of the partitions bounds how many there could be.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from math import floor
from typing import Final, Protocol

from kafka_consumer_scaler.core.assignment import spread
from kafka_consumer_scaler.core.cycle import decide
from kafka_consumer_scaler.core.history import History
from kafka_consumer_scaler.core.memory import Memory
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Group, Replicas, Snapshot, Unknown
from kafka_consumer_scaler.core.verdict import Verdict
from kafka_consumer_scaler.kafka.sample import GroupSample

UNBOUNDED: Final = 1_000_000
"""`maxReplicas` where none is wished for: more than any group has partitions."""
POLLS_AT_LEAST: Final = 2
"""One sample tells offsets and no rate."""
HOPELESS: Final = frozenset({
    Reason.BROKERS_UNREACHABLE, Reason.NOT_AUTHORIZED, Reason.TOPIC_NOT_FOUND, Reason.NO_COMMITTED_OFFSETS,
    Reason.INVALID_SPEC, Reason.AUTHENTICATION_FAILED, Reason.TLS_FAILED, Reason.SECRET_INVALID,
    Reason.IDENTITY_PROVIDER_UNREACHABLE, Reason.GROUP_TYPE_NOT_SUPPORTED,
})
"""What the first poll says and the next one would say again; a coordinator that moves is asked again."""

Poll = Callable[[], Awaitable[GroupSample]]
Workload = tuple[Policy, Replicas]


class Clock(Protocol):
    """The time in seconds since the epoch, and waiting for it."""

    def now(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


@dataclass(slots=True)
class Watch:
    """What is known of a group so far.

    Args:
        wish: what the user wants, in advisory mode.
        policy: the wish as it was last decided by.
        group: the coordinator's view, of the latest sample that was judged.
        verdict: on the latest complete sample; None before there was one.
        problem: why the latest incomplete sample was so.
        polls: how often Kafka was asked, `failures` of them without a complete sample.
        first_at: time of the first answer, and `last_at` that of the last.
        is_interrupted: the user had seen enough.
    """

    wish: Policy
    policy: Policy = field(init=False)
    group: Group | Unknown = field(default_factory=lambda: Unknown("the group was not described"))
    verdict: Verdict | None = None
    problem: Unknown | None = None
    polls: int = 0
    failures: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    is_interrupted: bool = False
    _history: History = field(default_factory=History)
    _memory: Memory = field(default_factory=Memory)
    _workload: Workload | None = None

    def __post_init__(self) -> None:
        self.policy = self.wish

    @property
    def seconds(self) -> float:
        """For how long the group was watched."""
        return self.last_at - self.first_at

    @property
    def is_hopeless(self) -> bool:
        """Nothing was learned, and asking again would not help; a group that Kafka does not know is no group."""
        if self.verdict is None:
            return self.problem is not None and self.problem.reason in HOPELESS
        return self.is_missing

    @property
    def is_missing(self) -> bool:
        """Kafka knows no such group; it told so, since topics were named, with partitions that nobody committed."""
        return isinstance(self.group, Group) and self.group.state == "Dead"

    def look(self, at: float, sample: GroupSample) -> None:
        """Decide on one more sample; one that is not complete leaves the verdict before it."""
        self.polls, self.last_at = self.polls + 1, at
        if self.polls == 1:
            self.first_at = at
        self._history = self._history.append(Snapshot(at, sample.partitions, sample.group, sample.details))
        if isinstance(self._history.latest, Unknown):
            self.failures, self.problem = self.failures + 1, self._history.latest
            return
        self._judge(at, sample)

    def _judge(self, at: float, sample: GroupSample) -> None:
        current: Replicas | Unknown
        if isinstance(sample.group, Unknown):
            current = sample.group
        else:
            self._workload = self._workload_of(sample, sample.group)
            self.policy, current = self._workload
        self.verdict = decide(self.policy, self._history, current, self._memory, at)
        self._memory, self.group = self.verdict.memory, sample.group

    def _workload_of(self, sample: GroupSample, group: Group) -> Workload:
        """In a rebalance members come and go: it is as it was before."""
        if group.is_rebalancing and self._workload is not None:
            return self._workload
        partitions = () if isinstance(sample.partitions, Unknown) else tuple(sample.partitions)
        return workload_of(self.wish, group, max(1, spread(partitions, group.assignor, 1).useful_replicas))


def workload_of(wish: Policy, group: Group, useful: int) -> Workload:
    """The policy to decide by, and the replicas that the members stand for.

    Members that are no multiple of the threads are not replicas of so many: each counts as one. `useful` consumers
    have partitions; those beyond are spare, and asking for them is nobody's wish. A group without members is one
    replica that is not there.

        threads  members  useful    replicas
           2        6       12      3 of 2 threads
           2        5       12      5 of 1 thread
           2        6        4      2 of 2 threads
           1       13       12      12
           1        0       12      1
    """
    members = len(group.members)
    wanted = wish.consumer_threads or 1
    threads = wanted if members % wanted == 0 else 1
    count = max(1, min(members // threads, -(-useful // threads)))
    return replace(wish, consumer_threads=threads, max_replicas=UNBOUNDED), Replicas(count, count)


async def watched(watch: Watch, poll: Poll, clock: Clock, seconds: int, every: int,
                  tell: Callable[[Watch], None] = lambda watch: None) -> None:
    """Poll until `seconds` lie between the first answer and the last, on a grid of `every` seconds.

    What was learned is in `watch`, also when the task is cancelled. `tell` hears of each poll.
    """
    while True:
        sample = await poll()
        watch.look(clock.now(), sample)
        tell(watch)
        if watch.is_hopeless or (watch.polls >= POLLS_AT_LEAST and watch.seconds >= seconds):
            return
        await clock.sleep(_until_next(watch, clock.now(), every))


def _until_next(watch: Watch, now: float, every: int) -> float:
    """Grid of 5 s that began at 0, now 7: 3 s; a poll that took longer than its interval leaves times out."""
    since = now - watch.first_at
    return (floor(since / every) + 1) * every - since
