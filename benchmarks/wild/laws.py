"""The laws that every run of every world keeps; where one cannot hold, its docstring says why.

Bounds scale with the world: with what a reaction takes in it (`truth.reaction_seconds`), and with the backlog.
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
"""A load is one that replicas can hold where the busiest consumer has at most this share to do: backlogs shrink."""
THRIFTY = 0.75
STEP_DOWN_SECONDS = 450.0
"""A step down takes the window of 300 s, and what it takes to see that it holds."""
FEW = 3
LATCH_CHECKED_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Broken:
    """A law that a run broke: which, when, and how."""

    law: str
    at: float
    why: str

    @property
    def kind(self) -> str:
        """The law, and of a finding its name: what a smaller world has to break too, to be of the same kind."""
        return f"{self.law} {self.why.split(':')[0]}" if self.law == "truth" else self.law


def broken(played: Played, laws: Iterable[str] | None = None) -> list[Broken]:
    """What the run broke, each kind once, at the first time; `laws` are all by default (`latch` plays twice more)."""
    found: dict[str, Broken] = {}
    for name in LAWS if laws is None else laws:
        for at, why in LAWS[name](played):
            one = Broken(name, at, why)
            found.setdefault(one.kind, one)
    return list(found.values())


Law = Callable[[Played], Iterator[tuple[float, str]]]


def liveness(played: Played) -> Iterator[tuple[float, str]]:
    """Where some number of replicas keeps up, the oldest record is under the objective again within a bounded time.

    The bound: two reactions (capacity may have to be learned by the first), one and a half of `recoverySeconds`, and
    the time that the best number needs for the backlog. From then on until the next change of the world at most a
    twentieth of the time, and the pauses of the changes made, may be over.

    It does not hold where the status names a cause that is true in that world (`_named`): somebody else writes the
    replicas, pods find no room, a bound that all share, an age that commits are too rare to show. Nor where the next
    change of the world comes before the bound.
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
                       f"{begin - segment.since} s after the change at {segment.since} s, oldest "
                       f"{played.age[begin:segment.until].max():.0f} s, {played.replicas[at]} replicas where {best} "
                       "hold")


def calm(played: Played) -> Iterator[tuple[float, str]]:
    """Under a steady load few changes are made once it has settled, and none again and again.

    Settled is when the steps down have had their time (see `thrift`). The same step up is made at most twice between
    two changes of the world, and after it has settled at most three changes are made, or steps down alone.

    It does not hold while somebody else writes the replicas: each change of theirs is answered.
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
                                  f"{_of(changes)}")
        settled = segment.since + _settle(played, segment)
        late = [each for each in changes if each.at >= settled]
        if len(late) > FEW and any(each.after > each.before for each in late):
            yield late[0].at, f"{len(late)} changes after {settled:.0f} s under a steady load: {_of(late)}"


def thrift(played: Played) -> Iterator[tuple[float, str]]:
    """Under a steady load the replicas come down to within a bound of the fewest that hold.

    The bound of the replicas: one more than the fewest, or as many as give the busiest consumer 0.75 to do. The bound
    of the time: as of liveness, ten minutes, and 450 s for each step down that changes what the busiest consumer does.

    It does not hold where steps down are rightly not taken: commits further apart than the objective (the age cannot be
    seen), a pause as long as half of the objective (each try costs more than it gains), a bound that all share (nobody
    can tell what a consumer can do), somebody else who writes the replicas, pods that find no room.
    """
    world = played.world
    for segment, least, begin in held_to_thrift(played):
        enough = fewest(world, segment, THRIFTY)
        bound = world.policy.max_replicas if enough is None else max(least + 1, enough, world.policy.min_replicas, 1)
        least_seen = int(played.replicas[begin:segment.until].min())
        if least_seen > bound:
            yield begin, (f"{least_seen} replicas {begin - segment.since} s after the change at {segment.since} s, "
                          f"where {least} hold and {bound} are enough")


def zero(played: Played) -> Iterator[tuple[float, str]]:
    """With `minReplicas: 0` an idle group goes to zero, and never stays there while records wait.

    It does not hold while somebody else writes the replicas.
    """
    world = played.world
    for segment in segments(world):
        if _reset_in(world, segment):
            continue
        begin = int(segment.since + 3 * reaction_seconds(world))
        rest = slice(begin, segment.until)
        if begin < segment.until and (played.replicas[rest] == 0).all() and played.lag[rest].min() > max(
                1, 2 * world.policy.activation_lag):
            yield begin, f"at zero with {played.lag[rest].min():.0f} records waiting"
        idle = world.policy.min_replicas == 0 and not segment.total
        begin = int(segment.since + _settle(played, segment))
        if idle and begin < segment.until and not _beyond(world) and played.replicas[begin:segment.until].min() > 0:
            yield begin, f"{played.replicas[begin]} replicas {begin - segment.since} s after the last record"


def bounds(played: Played) -> Iterator[tuple[float, str]]:
    """No change leaves the user's bounds."""
    policy = played.world.policy
    for change in played.ours:
        if not policy.min_replicas <= change.after <= policy.max_replicas:
            yield change.at, f"{change.before} -> {change.after} leaves {policy.min_replicas}..{policy.max_replicas}"


def cooldowns(played: Played) -> Iterator[tuple[float, str]]:
    """Between two changes of ours is the cooldown of the later one's direction.

    It does not hold upwards from zero, where the first record brings the first replica, and where records are about to
    be deleted: then cooldowns yield.
    """
    policy = played.world.policy
    for before, change in pairwise(played.ours):
        down = change.after < change.before
        cooldown = (policy.scale_down if down else policy.scale_up).cooldown_seconds
        yields = not down and (change.before == 0 or "RetentionRisk" in played.findings())
        if change.at - before.at < cooldown and not yields:
            yield change.at, f"{_of([before, change])} within {change.at - before.at:.0f} of {cooldown} s"


def truth(played: Played) -> Iterator[tuple[float, str]]:
    """Every finding that is reported is true in the world, and ends after its cause has ended.

    How long it may outlast its cause is `Scene.bearable`: polls, commits and records have to show that it ended.
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
                yield at, f"{name}: nothing says when it is true"
            elif not TRUE[name](scene, at):
                false.add(name)
                yield at, f"{name}: {finding.evidence}"


def latch(played: Played) -> Iterator[tuple[float, str]]:
    """With any memory that was written, on a group that has become healthy, it does as a fresh operator does.

    The memory of one poll of the run (drawn by the seed) meets the same group without its troubles at its mean load.
    After 90 to 100 minutes (what was too few is not tried for an hour; then come the steps down) replicas differ from a
    fresh operator's by no more than one or a third, the oldest record is under the objective if the fresh one's is, and
    no finding is reported that the fresh one never had.
    """
    dice = np.random.Generator(np.random.PCG64((played.world.seed, 99)))
    at, verdict = played.verdicts[int(dice.integers(len(played.verdicts) // 4, len(played.verdicts)))]
    world = healthy(played.world, int(played.replicas[int(at) - 1]))
    began = T0 + at + world.policy.polling_interval_seconds
    restored = play(world, KafkaConsumerScaler(world.policy, verdict.memory, began))
    fresh = play(world, KafkaConsumerScaler(world.policy, began=began))
    few, many = (float(np.mean(run.replicas[-LATCH_CHECKED_SECONDS:])) for run in (fresh, restored))
    if abs(few - many) > max(1.0, few / 3):
        yield at, f"{many:.1f} replicas with the memory of {at:.0f} s, {few:.1f} without"
    late = [bool((run.age[-LATCH_CHECKED_SECONDS:] > world.policy.lag_seconds).any()) for run in (fresh, restored)]
    if late == [False, True]:
        yield at, f"over the objective with the memory of {at:.0f} s, and not without"
    lasting = restored.findings(world.seconds - LATCH_CHECKED_SECONDS) - fresh.findings()
    if lasting:
        yield at, f"{', '.join(sorted(lasting))} with the memory of {at:.0f} s, and not without"


LAWS: Mapping[str, Law] = {
    "bounds": bounds, "cooldowns": cooldowns, "liveness": liveness, "calm": calm, "thrift": thrift, "zero": zero,
    "truth": truth, "latch": latch,
}
"""All by name, the dearest last."""


def held_to_liveness(played: Played) -> Iterator[tuple[Segment, int, int]]:
    """The segments that are long enough, the number of replicas that holds best, and from when the age is judged."""
    for segment in segments(played.world):
        best = _best(played.world, segment)
        if best is not None:
            begin = int(segment.since + _back(played, segment, best))
            if begin < segment.until - 60:
                yield segment, best, begin


def held_to_thrift(played: Played) -> Iterator[tuple[Segment, int, int]]:
    """The segments in which steps down are expected, the fewest replicas that hold, and from when they are judged."""
    world = played.world
    if world.plant.downstream_limit is not None or _cannot_see(world) or _pauses_are_dear(world):
        return
    for segment in segments(world):
        least = fewest(world, segment, 1.0)
        if least is None or _reset_in(world, segment) or _pending_in(world, segment):
            continue
        begin = int(segment.since + _settle(played, segment))
        if begin < segment.until:
            yield segment, least, begin


def _best(world: World, segment: Segment) -> int | None:
    """The number of replicas whose busiest consumer has least to do, where it keeps up; the fewest of these."""
    if _beyond(world):
        return None
    numbers = range(max(1, world.policy.min_replicas), world.policy.max_replicas + 1)
    best = min(numbers, key=lambda replicas: busiest(world, segment, replicas))
    return best if busiest(world, segment, best) <= HOLDABLE else None


def _back(played: Played, segment: Segment, best: int) -> float:
    """When the oldest record has to be under the objective again after a change of the world, seconds from it."""
    world = played.world
    return 2 * reaction_seconds(world) + 1.5 * world.policy.recovery_seconds + _drain(played, segment, best)


def _drain(played: Played, segment: Segment, best: int) -> float:
    """How long the best number needs for what waits at the change and for what gathers during a reaction."""
    world = played.world
    load = min(busiest(world, segment, best), HOLDABLE)
    factor = max(0.05, world.plant.capacity_factor(segment.since))
    waits = float(played.lag[segment.since:segment.since + 30].max(initial=0.0))
    consumers = best * world.plant.threads
    work = waits * 1.5 / (consumers * world.per_consumer * factor) + 1.5 * load * reaction_seconds(world)
    return work / (1 - load)


def _settle(played: Played, segment: Segment) -> float:
    """When the steps down after a change of the world have had their time, seconds from it.

    Steps are counted that change what the busiest consumer has to do: 12 partitions go from 12 replicas to 6, 4 and 3.
    """
    world = played.world
    best = _best(world, segment)
    most = int(played.replicas[segment.since:segment.until].max())
    least = fewest(world, segment, THRIFTY) or world.policy.max_replicas
    steps = {round(busiest(world, segment, each), 6) for each in range(least, most + 1)}
    back = 3 * reaction_seconds(world) if best is None else _back(played, segment, best)
    return back + 600 + STEP_DOWN_SECONDS * len(steps)


def _named(played: Played, segment: Segment) -> bool:
    """Whether the status names a cause of this segment that is true in the world."""
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
    return bool(named & causes) or (_cannot_see(world) and _is_said(played, segment))


def _is_said(played: Played, segment: Segment) -> bool:
    """Whether a verdict says that the age cannot be seen, or that it is not known."""
    within = [verdict for at, verdict in played.verdicts if segment.since <= at < segment.until]
    return any(isinstance(each.measurements.lag_seconds, Unknown) or "cannot be seen" in each.message
               for each in within)


def _cannot_see(world: World) -> bool:
    """Commits are so rare that the age they show is beyond the objective even when all is well."""
    return not world.record_seconds and world.plant.commit_seconds > 0.5 * world.policy.lag_seconds


def _pauses_are_dear(world: World) -> bool:
    return world.plant.rebalance_seconds > 0.5 * world.policy.lag_seconds


def _beyond(world: World) -> bool:
    return any(each.committed > each.end for topic in world.topics for each in topic.offsets)


def _reset_in(world: World, segment: Segment) -> bool:
    resets = world.resets
    return resets is not None and resets.since < segment.until and segment.since < resets.until


def _pending_in(world: World, segment: Segment) -> bool:
    return any(since < segment.until and segment.since < until for since, until in world.pending)


def _of(changes: list[Change]) -> str:
    return ", ".join(f"{each.before}->{each.after} at {each.at:.0f}" for each in changes[:8])
