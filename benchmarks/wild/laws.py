"""The laws for the runs of all worlds; each docstring states where the law cannot hold, and why.

Bounds scale with the world: with its reaction time (`truth.reaction_seconds`) and with the backlog.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from benchmarks.wild.truth import TRUE, Scene, Segment, busiest, fewest, reaction_seconds, segments
from benchmarks.wild.worlds import healthy
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.simulation.ours import T0, KafkaConsumerScaler
from kafka_consumer_scaler.simulation.wild.play import Change, Played, play
from kafka_consumer_scaler.simulation.wild.world import World

HOLDABLE = 0.8
"""A number of replicas keeps up if its busiest consumer is utilized at most this much: then backlogs shrink."""
THRIFTY = 0.75
STEP_DOWN_SECONDS = 450.0
"""Time of a scale-down: the window of 300 s, and the time to verify the new number of replicas."""
FEW = 3
LATCH_CHECKED_SECONDS = 600
LONG_PAUSE_SHARE = 0.5
"""Of the objective: a rebalance that takes longer costs more than a scale-down gains."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A violation: the law, the time in seconds, and the explanation."""

    law: str
    at: float
    why: str

    @property
    def kind(self) -> str:
        """The law, for `truth` with the finding's name; shrinking keeps the kind."""
        return f"{self.law} {self.why.split(':')[0]}" if self.law == "truth" else self.law


def broken(played: Played, laws: Iterable[str] | None = None) -> list[Broken]:
    """The first violation of each kind in the run; `laws` defaults to all (`latch` needs two additional runs)."""
    found: dict[str, Broken] = {}
    for name in LAWS if laws is None else laws:
        for at, why in LAWS[name](played):
            one = Broken(name, at, why)
            found.setdefault(one.kind, one)
    return list(found.values())


Law = Callable[[Played], Iterator[tuple[float, str]]]


def liveness(played: Played) -> Iterator[tuple[float, str]]:
    """Where some number of replicas keeps up, the oldest record returns below the objective within a bounded time.

    The bound: two reaction times (the first may be needed to learn the capacity), 1.5 `recoverySeconds`, and the time
    that the best number of replicas needs for the backlog. From then until the next change of the world, at most 5% of
    the time plus the rebalance pauses may be over the objective.

    It does not hold where the status names a cause that is true in the world (`_named`): another writer of the
    replicas, unschedulable pods, a shared downstream limit, commits too rare to show the age. Nor where the next change
    of the world comes before the bound.
    """
    world = played.world
    for segment, best, begin in held_to_liveness(played):
        over = played.age[begin:segment.until] > world.policy.lag_seconds
        changes = sum(segment.since <= each.at < segment.until for each in played.changes)
        pauses = changes * (world.plant.rebalance_seconds + world.plant.session_timeout_seconds * bool(
            world.plant.crashes))
        if over.sum() > max(60.0, 0.05 * len(over)) + pauses and not _named(played, segment):
            at = begin + int(np.argmax(over))
            yield at, (f"{int(over.sum())} of {len(over)} s over {world.policy.lag_seconds:.0f} s from "
                       f"{begin - segment.since} s after the change at {segment.since} s, max age "
                       f"{played.age[begin:segment.until].max():.0f} s, {played.replicas[at]} replicas where {best} "
                       "keep up")


def calm(played: Played) -> Iterator[tuple[float, str]]:
    """Under a steady load there are few changes once the group has settled, and no cycles.

    A group has settled after the time allowed for scale-downs (see `thrift`). Between two changes of the world, the
    same scale-up happens at most twice. After settling there are at most three changes, or only scale-downs.

    It does not hold while another writer sets the replicas: each of its changes is answered.
    """
    world = played.world
    for segment in segments(world):
        if _reset_in(world, segment):
            continue
        changes = [each for each in played.ours if segment.since <= each.at < segment.until]
        ups = Counter((each.before, each.after) for each in changes if each.after > each.before)
        if ups and max(ups.values()) >= FEW:
            before, after = max(ups, key=lambda each: ups[each])
            yield segment.since, (f"{ups[before, after]} times {before} -> {after} since {segment.since} s: "
                                  f"{_listed(changes)}")
        settled = segment.since + _settling_deadline(played, segment)
        late = [each for each in changes if each.at >= settled]
        if len(late) > FEW and any(each.after > each.before for each in late):
            yield late[0].at, f"{len(late)} changes after {settled:.0f} s under a steady load: {_listed(late)}"


def thrift(played: Played) -> Iterator[tuple[float, str]]:
    """Under a steady load the replicas come down close to the fewest that keep up.

    The bound for the replicas: the fewest plus one, or as many as utilize the busiest consumer by 0.75. The bound for
    the time: that of `liveness`, ten minutes, and 450 s for each scale-down that changes the load of the busiest
    consumer.

    It does not hold where scale-downs are rightly not made: commits more than half of the objective apart (the age
    cannot be measured), rebalance pauses longer than half of the objective (each attempt costs more than it gains), a
    shared downstream limit (the capacity per consumer cannot be measured), another writer of the replicas,
    unschedulable pods.
    """
    world = played.world
    for segment, least, begin in held_to_thrift(played):
        enough = fewest(world, segment, THRIFTY)
        bound = world.policy.max_replicas if enough is None else max(least + 1, enough, world.policy.min_replicas, 1)
        least_seen = int(played.replicas[begin:segment.until].min())
        if least_seen > bound:
            yield begin, (f"{least_seen} replicas {begin - segment.since} s after the change at {segment.since} s, "
                          f"where {least} keep up and {bound} are allowed")


def zero(played: Played) -> Iterator[tuple[float, str]]:
    """With `minReplicas: 0` an idle group scales to zero, and does not stay there while there is a backlog.

    It does not hold while another writer sets the replicas.
    """
    world = played.world
    for segment in segments(world):
        if _reset_in(world, segment):
            continue
        begin = int(segment.since + 3 * reaction_seconds(world))
        rest = slice(begin, segment.until)
        if begin < segment.until and (played.replicas[rest] == 0).all() and played.lag[rest].min() > max(
                1, 2 * world.policy.activation_lag):
            yield begin, f"at zero replicas with a backlog of at least {played.lag[rest].min():.0f} records"
        idle = world.policy.min_replicas == 0 and not segment.total
        begin = int(segment.since + _settling_deadline(played, segment))
        is_judged = idle and begin < segment.until and not _has_commit_beyond_end(world)
        if is_judged and played.replicas[begin:segment.until].min() > 0:
            yield begin, f"{played.replicas[begin]} replicas {begin - segment.since} s after the last record"


def bounds(played: Played) -> Iterator[tuple[float, str]]:
    """No change leaves `minReplicas` to `maxReplicas`."""
    policy = played.world.policy
    for change in played.ours:
        if not policy.min_replicas <= change.after <= policy.max_replicas:
            yield change.at, f"{change.before} -> {change.after} leaves {policy.min_replicas}..{policy.max_replicas}"


def cooldowns(played: Played) -> Iterator[tuple[float, str]]:
    """Consecutive changes by the operator are separated by the cooldown of the later one's direction.

    It does not hold for scale-ups from zero, and for scale-ups in runs in which retention is about to delete records:
    both ignore the cooldown.
    """
    policy = played.world.policy
    for before, change in pairwise(played.ours):
        down = change.after < change.before
        cooldown = (policy.scale_down if down else policy.scale_up).cooldown_seconds
        yields = not down and (change.before == 0 or "RetentionRisk" in played.findings())
        if change.at - before.at < cooldown and not yields:
            yield change.at, f"{_listed([before, change])} {change.at - before.at:.0f} s apart, cooldown {cooldown} s"


def truth(played: Played) -> Iterator[tuple[float, str]]:
    """Every reported finding is true in the world, and ends after its cause has ended.

    It may outlast its cause by `Scene.tolerance_seconds`, the time until polls and commits show the end.
    """
    scene = Scene(played)
    false: set[str] = set()
    for at, verdict in played.verdicts:
        for finding in verdict.findings:
            name = str(finding.reason)
            if name in false:
                continue
            if name not in TRUE:
                false.add(name)
                yield at, f"{name}: no rule in TRUE for this finding"
            elif not TRUE[name](scene, at):
                false.add(name)
                yield at, f"{name}: {finding.evidence}"


def latch(played: Played) -> Iterator[tuple[float, str]]:
    """With any stored memory, on a group that has become healthy, the operator behaves like a fresh one.

    The memory of one poll of the run (drawn by the seed) is loaded for the same group without faults at its mean load.
    After 90 to 100 minutes (a number of replicas that was too small is not tried again for an hour; then come the
    scale-downs), the replicas differ from those of a fresh operator by at most one or a third, the oldest record is
    under the objective if the fresh one's is, and no finding is reported that the fresh one never reported.

    The number of replicas may differ where a rebalance was seen to take most of the objective: only a change shows that
    it no longer does, and one that may have to be taken back is tried after eight hours.
    """
    rng = np.random.Generator(np.random.PCG64((played.world.seed, 99)))
    at, verdict = played.verdicts[int(rng.integers(len(played.verdicts) // 4, len(played.verdicts)))]
    world = healthy(played.world, int(played.replicas[int(at) - 1]))
    began = T0 + at + world.policy.polling_interval_seconds
    restored = play(world, KafkaConsumerScaler(world.policy, verdict.memory, began))
    fresh = play(world, KafkaConsumerScaler(world.policy, began=began))
    few, many = (float(np.mean(run.replicas[-LATCH_CHECKED_SECONDS:])) for run in (fresh, restored))
    has_long_pause = (verdict.memory.pause_seconds or 0.0) > LONG_PAUSE_SHARE * world.policy.lag_seconds
    if abs(few - many) > max(1.0, few / 3) and not has_long_pause:
        yield at, f"{many:.1f} replicas with the memory of {at:.0f} s, {few:.1f} without it"
    late = [bool((run.age[-LATCH_CHECKED_SECONDS:] > world.policy.lag_seconds).any()) for run in (fresh, restored)]
    if late == [False, True]:
        yield at, f"over the objective only with the memory of {at:.0f} s"
    lasting = restored.findings(world.seconds - LATCH_CHECKED_SECONDS) - fresh.findings()
    if lasting:
        yield at, f"{', '.join(sorted(lasting))} only with the memory of {at:.0f} s"


LAWS: Mapping[str, Law] = {
    "bounds": bounds, "cooldowns": cooldowns, "liveness": liveness, "calm": calm, "thrift": thrift, "zero": zero,
    "truth": truth, "latch": latch,
}
"""All laws by name, the most expensive last."""


def held_to_liveness(played: Played) -> Iterator[tuple[Segment, int, int]]:
    """The segments that are long enough, the best number of replicas, and the second from which the age is checked."""
    for segment in segments(played.world):
        best = _best(played.world, segment)
        if best is not None:
            begin = int(segment.since + _recovery_deadline(played, segment, best))
            if begin < segment.until - 60:
                yield segment, best, begin


def held_to_thrift(played: Played) -> Iterator[tuple[Segment, int, int]]:
    """The segments in which scale-downs are due, the fewest replicas that keep up, and the second of the check."""
    world = played.world
    if world.plant.downstream_limit is not None or _cannot_see(world) or _pauses_are_long(world):
        return
    for segment in segments(world):
        least = fewest(world, segment, 1.0)
        if least is None or _reset_in(world, segment) or _pending_in(world, segment):
            continue
        begin = int(segment.since + _settling_deadline(played, segment))
        if begin < segment.until:
            yield segment, least, begin


def _best(world: World, segment: Segment) -> int | None:
    """The fewest replicas with the lowest utilization of the busiest consumer; None if they do not keep up."""
    if _has_commit_beyond_end(world):
        return None
    numbers = range(max(1, world.policy.min_replicas), world.policy.max_replicas + 1)
    best = min(numbers, key=lambda replicas: busiest(world, segment, replicas))
    return best if busiest(world, segment, best) <= HOLDABLE else None


def _recovery_deadline(played: Played, segment: Segment, best: int) -> float:
    """Time allowed after a change of the world until the oldest record is under the objective again, in seconds."""
    world = played.world
    return 2 * reaction_seconds(world) + 1.5 * world.policy.recovery_seconds + _drain_seconds(played, segment, best)


def _drain_seconds(played: Played, segment: Segment, best: int) -> float:
    """Time to drain the backlog at the change and that of one reaction time with `best` replicas, in seconds."""
    world = played.world
    load = min(busiest(world, segment, best), HOLDABLE)
    factor = max(0.05, world.plant.capacity_factor(segment.since))
    waits = float(played.lag[segment.since:segment.since + 30].max(initial=0.0))
    consumers = best * world.plant.threads
    work = waits * 1.5 / (consumers * world.per_consumer * factor) + 1.5 * load * reaction_seconds(world)
    return work / (1 - load)


def _settling_deadline(played: Played, segment: Segment) -> float:
    """Time allowed after a change of the world until all scale-downs are made, in seconds.

    Counts the steps that change the load of the busiest consumer: with 12 partitions from 12 replicas to 6, 4 and 3.
    """
    world = played.world
    best = _best(world, segment)
    most = int(played.replicas[segment.since:segment.until].max())
    least = fewest(world, segment, THRIFTY) or world.policy.max_replicas
    steps = {round(busiest(world, segment, each), 6) for each in range(least, most + 1)}
    back = 3 * reaction_seconds(world) if best is None else _recovery_deadline(played, segment, best)
    return back + 600 + STEP_DOWN_SECONDS * len(steps)


def _named(played: Played, segment: Segment) -> bool:
    """Whether the status names a true cause of this segment."""
    world = played.world
    named = {str(each.reason) for at, verdict in played.verdicts if segment.since <= at < segment.until
             for each in verdict.findings}
    causes = set()
    if _reset_in(world, segment):
        causes.add("ReplicasChangedByOthers")
    if _pending_in(world, segment):
        causes.add("ReplicasNotJoining")
    if world.plant.downstream_limit is not None:
        causes |= {"IneffectiveScaling", "SlowConsumers"}
    return bool(named & causes) or (_cannot_see(world) and _is_reported(played, segment))


def _is_reported(played: Played, segment: Segment) -> bool:
    """Whether a verdict reports that the age cannot be seen or is unknown."""
    within = [verdict for at, verdict in played.verdicts if segment.since <= at < segment.until]
    return any(isinstance(each.measurements.lag_seconds, Unknown) or "cannot be seen" in each.message
               for each in within)


def _cannot_see(world: World) -> bool:
    """Whether commits are so rare that the measured age exceeds the objective even if the group keeps up."""
    return not world.record_seconds and world.plant.commit_seconds > 0.5 * world.policy.lag_seconds


def _pauses_are_long(world: World) -> bool:
    return world.plant.rebalance_seconds > LONG_PAUSE_SHARE * world.policy.lag_seconds


def _has_commit_beyond_end(world: World) -> bool:
    return any(each.committed > each.end for topic in world.topics for each in topic.offsets)


def _reset_in(world: World, segment: Segment) -> bool:
    resets = world.resets
    return resets is not None and resets.since < segment.until and segment.since < resets.until


def _pending_in(world: World, segment: Segment) -> bool:
    return any(since < segment.until and segment.since < until for since, until in world.pending)


def _listed(changes: list[Change]) -> str:
    return ", ".join(f"{each.before}->{each.after} at {each.at:.0f}" for each in changes[:8])
