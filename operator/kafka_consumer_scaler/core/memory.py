"""What must outlive a restart of the operator: changes made, peaks of the load, and what was learned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from kafka_consumer_scaler.core.capacity import Capacity
from kafka_consumer_scaler.core.policy import Policy, ScalingRules
from kafka_consumer_scaler.core.reasons import Reason

SCALES_KEPT = 20
KEEP_SCALES_SECONDS = 3600.0
WINDOW_SECONDS_MAX = 3600
REGRET_SECONDS = 300.0
"""A scale-up this soon after a scale-down takes it back."""
REGRET_KEPT_SECONDS = 1800.0
PEAKS_KEPT = 60
USUAL_SECONDS = 1800.0
"""What is usual is a mean over about half an hour in which the group was caught up."""
USUAL_STEP_SECONDS = 60.0
"""The longest time that one look speaks for."""


@dataclass(frozen=True, slots=True)
class Scaled:
    """A change of replicas that was carried out at a time (seconds since the epoch).

    `arrival` is the rate of the partitions that replicas can help, records/s; None where it was not known.
    """

    at: float
    before: int
    after: int
    arrival: float | None = None


@dataclass(frozen=True, slots=True)
class OthersChange:
    """A change of replicas that was not ours, seen at a time (seconds since the epoch).

    `manager` is the field manager that made it; empty where that could not be learned.
    """

    at: float
    before: int
    after: int
    manager: str = ""


@dataclass(frozen=True, slots=True)
class Recommended:
    """A number of replicas recommended at a time (seconds since the epoch)."""

    at: float
    replicas: int


@dataclass(frozen=True, slots=True)
class Peak:
    """An arrival rate (records/s) seen at a time (seconds since the epoch)."""

    at: float
    arrival: float


@dataclass(frozen=True, slots=True)
class Trial:
    """A scale-up of a group that was behind, whose effect is still to be measured.

    Args:
        at: when it was made, seconds since the epoch.
        before: replicas before.
        after: replicas after.
        drain: records/s that all consumers together processed before, all of them busy; None while that was not seen.
        joined_at: when all of its consumers had joined; None before.
    """

    at: float
    before: int
    after: int
    drain: float | None = None
    joined_at: float | None = None


@dataclass(frozen=True, slots=True)
class Ineffective:
    """A scale-up that did not help: no more than `replicas` until `until`; `times` such trials in a row.

    `tried` replicas processed `drained` records/s. By what a consumer did before, `replicas` can do `drain`; where no
    fewer than `tried` can do as much, they are the same.
    """

    replicas: int
    until: float
    times: int
    tried: int
    drain: float
    drained: float

    @property
    def is_withdrawn(self) -> bool:
        """Fewer do as much, so it is taken back."""
        return self.replicas < self.tried


@dataclass(frozen=True, slots=True)
class Awaited:
    """A scale-up at a time (seconds since the epoch) whose consumers had not all joined when last looked at.

    Or the time at which members were `lost` that had joined before.
    """

    at: float
    missing_at: float | None = None
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Threads:
    """Members that one replica brings.

    Args:
        count: members of one replica, at least 1.
        replicas: replicas in the newest steady state of the group; 0 before there was one.
        members: members in that state that may be ours.
        at: when that was, seconds since the epoch.
        is_learned: whether a change of replicas showed it; else the members divided by the replicas.
    """

    count: int
    replicas: int
    members: int
    at: float
    is_learned: bool = False


@dataclass(frozen=True, slots=True)
class TakenBack:
    """A step down that a scale-up took back: so few replicas were too few for that load.

    Args:
        replicas: replicas after the step down.
        arrival: arrival rate of the partitions that replicas can help, records/s: the lower of those at both changes.
        at: when that was, seconds since the epoch.
        times: how often in a row.
        held_until: until then no step down to so few is made at such a load.
    """

    replicas: int
    arrival: float
    at: float
    times: int
    held_until: float


@dataclass(frozen=True, slots=True)
class Unread:
    """Topics that nobody read when the group last had members, and when that was (seconds since the epoch)."""

    topics: tuple[str, ...]
    at: float


@dataclass(frozen=True, slots=True)
class Held:
    """A topic that is held back for `seconds`, and when that was last seen (since the epoch)."""

    topic: str
    seconds: float
    at: float


@dataclass(frozen=True, slots=True)
class Commits:
    """The commit interval as it was last measured, `seconds`, and when that was (seconds since the epoch)."""

    seconds: float
    at: float


@dataclass(frozen=True, slots=True)
class Usual:
    """What a group that is caught up gets and does.

    Args:
        at: when it was last looked at, seconds since the epoch.
        seconds: time that the means speak for, at most half an hour.
        arrival: records/s.
        per_consumer: records/s that one consumer can process; None while nothing is known.
    """

    at: float
    seconds: float
    arrival: float
    per_consumer: float | None = None

    def with_look(self, at: float, arrival: float, per_consumer: float | None) -> Usual:
        """The means after one more look: plain ones at first, and over half an hour they forget.

        1,785 s of 100 records/s, then 15 s of 220: 100 + 120 * 15 / 1,800 = 101. What a consumer can do is at least
        what was seen, so it rises at once: a bound of 60, then 100 learned: 100.
        """
        step = min(USUAL_STEP_SECONDS, max(0.0, at - self.at))
        seconds = min(USUAL_SECONDS, self.seconds + step)
        weight = step / seconds if seconds else 1.0
        known = self.per_consumer
        if per_consumer is not None:
            known = per_consumer if known is None else max(per_consumer, known + weight * (per_consumer - known))
        return Usual(at, seconds, self.arrival + weight * (arrival - self.arrival), known)


@dataclass(frozen=True, slots=True)
class Throttling:
    """Producers are held to a rate. Times are seconds since the epoch.

    Args:
        since: when it began.
        rate: bytes/s, over all brokers and all entries of the quotas together.
        changed_at: when the rate was last changed.
        demand: records/s that arrived before, or at most since.
        seen_at: when the group was last looked at and all was known that the rate follows.
        record_bytes: bytes that brokers count for a record.
        is_weighed: those were told by what came through at a rate, not by what is stored.
        calm_since: since when it would not be missed; None while it would.
        per_broker: bytes/s on one broker, for each entry of the quotas.
    """

    since: float
    rate: float
    changed_at: float
    demand: float
    seen_at: float
    record_bytes: float
    is_weighed: bool = False
    calm_since: float | None = None
    per_broker: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A finding as it was last seen: when, and in which words."""

    reason: Reason
    at: float
    evidence: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Memory:
    """What must outlive a restart; saved in the resource's status. Times are seconds since the epoch.

    Args:
        scales: changes carried out within the last hour (the newest one always), oldest first, at most 20.
        highs: recommendations that may still be the most recommended of the scale-down window, oldest first.
        lows: recommendations that may still be the least recommended of the scale-up window, oldest first.
        peaks: arrival rates that may still be the highest of the scale-down window, oldest first, falling.
        capacity: records/s one consumer was seen to process; None before any was measured.
        join_seconds: from a scale-up's write to all of its consumers' having joined; None before one was seen.
        pause_seconds: processing time that one rebalance cost the group; None before one was measured.
        awaited: the scale-up whose consumers have not all joined.
        trial: the scale-up that is on trial.
        ineffective: the scale-up that was taken back.
        threads: members that one replica brings; None before that was seen.
        paused_at: the change, by its time, whose long pause is in `pause_seconds`; None before one was seen.
        uneven_since: since when more or fewer replicas exist than are asked for; None while as many do.
        taken_back: the newest step down that was taken back.
        unread: topics that nobody read when the group last had members.
        held: topics whose records are held back on purpose.
        commits: the commit interval; None before it was measured, or long after.
        assignor: the group's last known assignor; empty before any was known.
        usual: what arrives and what a consumer does while the group is caught up; None before that was seen.
        memberless_since: since when the group has had no members; None when it has some, or is not known.
        unseen_at: the last sample in which the group committed without members; None before that, and with members.
        found: the findings that last.
        said: complaints that were made and not yet withdrawn, so that an event marks a change, not a state.
        throttling: the rate that producers are held to; None while they are not.
        others: changes of the replicas by others, seen within the last hour (the newest one always), oldest first, at
            most 20.
        ups: times of the scale-ups that the limits by the hour and day count, oldest first; no more than the largest
            of these limits, and none without a limit.
        downs: the same of the scale-downs.
    """

    scales: tuple[Scaled, ...] = ()
    highs: tuple[Recommended, ...] = ()
    lows: tuple[Recommended, ...] = ()
    peaks: tuple[Peak, ...] = ()
    capacity: Capacity | None = None
    join_seconds: float | None = None
    pause_seconds: float | None = None
    awaited: Awaited | None = None
    trial: Trial | None = None
    ineffective: Ineffective | None = None
    threads: Threads | None = None
    taken_back: TakenBack | None = None
    paused_at: float | None = None
    uneven_since: float | None = None
    unread: Unread | None = None
    held: tuple[Held, ...] = ()
    commits: Commits | None = None
    assignor: str = ""
    usual: Usual | None = None
    memberless_since: float | None = None
    unseen_at: float | None = None
    found: tuple[Found, ...] = ()
    said: frozenset[Reason] = frozenset()
    throttling: Throttling | None = None
    others: tuple[OthersChange, ...] = ()
    ups: tuple[float, ...] = ()
    downs: tuple[float, ...] = ()

    @property
    def expected_replicas(self) -> int | None:
        """What the target was set to when it was last changed; None before our first change.

        Of the newest change, ours or not: a change by others is counted once, and then their number is expected.
        """
        ours = self.last_scale
        if ours is None:
            return None
        newest = self.others[-1] if self.others else None
        return newest.after if newest is not None and newest.at > ours.at else ours.after

    @property
    def last_scale(self) -> Scaled | None:
        """The newest change that was carried out."""
        return self.scales[-1] if self.scales else None

    def regretted(self, now: float, within: float, kept: float) -> tuple[Scaled, ...]:
        """The scale-downs of the last `kept` seconds that a scale-up took back `within` so many seconds."""
        return tuple(
            down
            for down, then in pairwise(self.scales)
            if down.after < down.before and then.after > then.before
            and then.at - down.at <= within and now - down.at <= kept
        )

    def scale_down_window_seconds(self, policy: Policy, now: float) -> int:
        """The user's window, doubled by each regret of the last half hour, so halved again by each half hour of peace.

        300 s, two regrets: 1,200 s. At most an hour, the longest window that a user may set.
        """
        window = policy.scale_down.stabilization_window_seconds
        regrets = len(self.regretted(now, REGRET_SECONDS, REGRET_KEPT_SECONDS))
        return min(max(window, WINDOW_SECONDS_MAX), window << regrets)

    def peak_arrival(self, policy: Policy, now: float) -> float:
        """The highest windowed arrival rate of the scale-down window, records/s; 0 when none was seen."""
        since = now - self.scale_down_window_seconds(policy, now)
        return max((peak.arrival for peak in self.peaks if peak.at >= since), default=0.0)

    def with_scaled(self, before: int, after: int, at: float, arrival: float | None = None) -> Memory:
        """The memory after a change was carried out."""
        recent = [scale for scale in self.scales if scale.at > at - KEEP_SCALES_SECONDS]
        return replace(self, scales=(*recent, Scaled(at, before, after, arrival))[-SCALES_KEPT:])

    def with_counted(self, policy: Policy, now: float) -> Memory:
        """The memory with the times of the changes that the limits by the hour and day count.

        They are taken from `scales`, which has every change since the call before, so a limit that is new counts the
        changes of the last hour.
        """
        ups = (scale.at for scale in self.scales if scale.after > scale.before)
        downs = (scale.at for scale in self.scales if scale.after < scale.before)
        return replace(self, ups=_counted({*self.ups, *ups}, policy.scale_up, now),
                       downs=_counted({*self.downs, *downs}, policy.scale_down, now))

    def with_replicas(self, replicas: int, manager: str, at: float) -> Memory:
        """The memory after a look at the target: a number that was not expected is a change by others.

        The newest change by others is always kept: it is the number that is expected.
        """
        recent = [each for each in self.others[:-1] if each.at > at - KEEP_SCALES_SECONDS]
        kept = (*recent, *self.others[-1:])
        before = self.expected_replicas
        if before is not None and before != replicas:
            kept = (*(each for each in kept if each.at > at - KEEP_SCALES_SECONDS),
                    OthersChange(at, before, replicas, manager))
        return self if kept == self.others else replace(self, others=kept[-SCALES_KEPT:])

    def with_recommended(self, replicas: int, policy: Policy, at: float) -> Memory:
        """The windows after one more recommendation.

        Only what may still win is kept: the highs fall and the lows rise, so each has one entry for each level.
        """
        new = Recommended(at, replicas)
        since_high = at - self.scale_down_window_seconds(policy, at)
        since_low = at - policy.scale_up.stabilization_window_seconds
        highs = tuple(old for old in self.highs if since_high <= old.at < at and old.replicas > replicas)
        lows = tuple(old for old in self.lows if since_low <= old.at < at and old.replicas < replicas)
        return replace(self, highs=(*highs, new), lows=(*lows, new))

    def with_arrival(self, arrival: float, policy: Policy, at: float) -> Memory:
        """The peaks after one more arrival rate: what is lower than a newer one can never be the highest again.

        Beyond sixty, the two that are closest become one: the higher of them, at the time of the later.
        """
        since = at - self.scale_down_window_seconds(policy, at)
        kept = [peak for peak in self.peaks if since <= peak.at < at and peak.arrival > arrival]
        peaks = [*kept, Peak(at, arrival)]
        while len(peaks) > PEAKS_KEPT:
            closest = min(range(len(peaks) - 1), key=lambda index: peaks[index + 1].at - peaks[index].at)
            peaks[closest:closest + 2] = [Peak(peaks[closest + 1].at, peaks[closest].arrival)]
        return replace(self, peaks=tuple(peaks))


def _counted(times: set[float], rules: ScalingRules, now: float) -> tuple[float, ...]:
    """The times that a limit of these rules may still count, oldest first.

    4 an hour and 20 a day: the newest 20 of the last 86,400 s.
    """
    limits = rules.change_limits
    if not limits:
        return ()
    since = now - max(limit.period_seconds for limit in limits)
    most = max(limit.changes for limit in limits)
    return tuple(sorted(at for at in times if at > since))[-most:]
