"""Reported situations, one function each: seed 0 has the reported numbers, other seeds vary them.

Defaults: a consumer processes 100 records/s, pods start in 15 s, members commit every 5 s, and the topic has 12
partitions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from kafka_consumer_scaler.core.policy import OffsetReset, Policy
from kafka_consumer_scaler.simulation.spec import PlantSpec
from kafka_consumer_scaler.simulation.wild.world import (
    NOBODY,
    ExtraPods,
    Offsets,
    OutsideMembers,
    ReportedState,
    Resets,
    Stuck,
    Topic,
    World,
)

Rates = tuple[float, ...]
MAX_REPLICAS = 12


class Varied:
    """Numbers of a case: as reported with seed 0, otherwise drawn around the reported numbers."""

    def __init__(self, name: str, seed: int) -> None:
        self.name, self.seed = name, seed
        self._rng = np.random.Generator(np.random.PCG64((seed, *name.encode())))

    def about(self, value: float, share: float = 0.25) -> float:
        """`value`, varied by up to `share` of it in both directions."""
        return value * (1 + self._rng.uniform(-share, share) * (self.seed > 0))

    def whole(self, value: int, least: int, most: int) -> int:
        """`value`, or a random number from `least` to `most`."""
        return int(self._rng.integers(least, most + 1)) if self.seed else value

    def word(self, value: str, *others: str) -> str:
        """`value`, or a random choice of it and `others`."""
        return str(self._rng.choice([value, *others])) if self.seed else value


def level(rate: float, seconds: int) -> Rates:
    """A constant rate."""
    return (rate,) * seconds


def step(before: float, after: float, at: int, seconds: int) -> Rates:
    """The rate `before`, then `after` from second `at` on."""
    return (before,) * at + (after,) * (seconds - at)


def group(name: str, seed: int, topics: tuple[Topic, ...], policy: Policy, replicas: int = 1, *,
          changes: tuple[float, ...] = (), **plant: object) -> World:
    """A world whose plant has the partitions of all topics together."""
    spec = PlantSpec(partitions=sum(topic.partitions for topic in topics), initial_replicas=replicas,
                     **plant)  # type: ignore[arg-type]
    return World(name, seed, topics, spec, policy, changes=changes)


def policy(**settings: object) -> Policy:
    """A manifest with `maxReplicas: 12`."""
    return Policy(**{"max_replicas": MAX_REPLICAS, **settings})  # type: ignore[arg-type]


def left_topic(seed: int = 0) -> World:
    """An abandoned topic still receives records and has old commits; `topics` is not set."""
    varied, seconds = Varied("left-topic", seed), 5400
    topics = (Topic("legacy", level(varied.about(20), seconds), partitions=varied.whole(6, 3, 12), reader=NOBODY),
              Topic("orders", level(varied.about(120), seconds)))
    return group(varied.name, seed, topics, policy(), 2)


def group_shared_other_topic(seed: int = 0) -> World:
    """Another Deployment of 12 pods has the same group.id and reads `audit`; our policy names `payments`."""
    varied, seconds = Varied("group-shared-other-topic", seed), 4800
    at = varied.whole(600, 600, 1200)
    topics = (Topic("audit", level(varied.about(100), seconds), reader="audit"),
              Topic("payments", step(varied.about(80, 0.1), varied.about(600), at, seconds)))
    world = group(varied.name, seed, topics, policy(topics=("payments",)), changes=(float(at),))
    return replace(world, outside_members=(OutsideMembers("audit", varied.whole(12, 1, 24), ("audit",)),))


def assigned_by_hand(seed: int = 0) -> World:
    """Consumers assign partitions manually and commit, so the group is Empty."""
    varied, seconds = Varied("assigned-by-hand", seed), 4800
    at = varied.whole(600, 600, 1200)
    arrival = step(varied.about(80, 0.1), varied.about(500), at, seconds)
    world = group(varied.name, seed, (Topic("clicks", arrival),), policy(topics=("clicks",)), changes=(float(at),),
                  assignor="roundrobin")
    return replace(world, reported_states=(ReportedState(varied.word("Empty", "Dead")),))


def commits_by_hand_with_topics(seed: int = 0) -> World:
    """Manual assignment with two topics of different loads, one of them in `topics`; the load falls again later."""
    varied, seconds = Varied("commits-by-hand-with-topics", seed), 7200
    up, down = varied.whole(900, 600, 1200), varied.whole(3600, 3000, 4200)
    base, peak = varied.about(80, 0.1), varied.about(450)
    arrival = level(base, up) + level(peak, down - up) + level(base, seconds - down)
    topics = (Topic("clicks", arrival), Topic("views", level(varied.about(10), seconds), partitions=6))
    world = group(varied.name, seed, topics, policy(topics=("clicks",)), changes=(float(up), float(down)),
                  assignor="roundrobin")
    return replace(world, reported_states=(ReportedState("Empty"),))


def ten_minute_jobs(seed: int = 0) -> World:
    """A record takes ten minutes, the arrival rate is one record per minute, the objective is an hour."""
    varied, seconds = Varied("ten-minute-jobs", seed), 14400
    takes = varied.about(600)
    jobs = Topic("jobs", level(10.0 / takes * varied.about(1, 0.1), seconds), in_step=seed % 2 == 0)
    settings = policy(lag_seconds=3600.0, offset_reset=OffsetReset.EARLIEST)
    return replace(group(varied.name, seed, (jobs,), settings), record_seconds=takes)


def rare_commits(seed: int = 0) -> World:
    """Three replicas keep up with 200 records/s; members commit every ten minutes, the objective is 60 s."""
    varied = Varied("rare-commits", seed)
    topics = (Topic("events", level(varied.about(200), 7200)),)
    return group(varied.name, seed, topics, policy(), 3, commit_seconds=varied.about(600))


def twelve_minute_starts(seed: int = 0) -> World:
    """Pods start in 12 minutes; the load rises linearly from 150 to 800 records/s in 90 minutes."""
    varied, seconds = Varied("twelve-minute-starts", seed), 7200
    low, high = varied.about(150), varied.about(800)
    arrival = tuple(np.interp(np.arange(seconds), [600, 6000], [low, high]).round(3).tolist())
    return group(varied.name, seed, (Topic("orders", arrival),), policy(), 2,
                 pod_start_seconds=varied.about(720), changes=tuple(map(float, range(600, 6001, 600))))


def rebalance_of_minutes(seed: int = 0) -> World:
    """Every rebalance pauses all partitions for four minutes; the load has one step."""
    varied, seconds = Varied("rebalance-of-minutes", seed), 14400
    at = varied.whole(3600, 1800, 3600)
    arrival = step(varied.about(150), varied.about(500), at, seconds)
    return group(varied.name, seed, (Topic("orders", arrival),), policy(), 3, assignor="range",
                 rebalance_seconds=varied.about(240), pod_start_seconds=30.0, changes=(float(at),))


def poison_and_scale_down(seed: int = 0) -> World:
    """One partition is stuck for two hours while the load falls from 800 to 60 records/s."""
    varied, seconds = Varied("poison-and-scale-down", seed), 9000
    at = varied.whole(1200, 900, 1800)
    arrival = step(varied.about(800), varied.about(60), at, seconds)
    world = group(varied.name, seed, (Topic("orders", arrival),), policy(), 12, changes=(float(at),))
    return replace(world, stuck=(Stuck("orders", varied.whole(4, 0, 11), 0.0, 7200.0),))


def one_batch_from_zero(seed: int = 0) -> World:
    """A batch of 200,000 records arrives at zero replicas; pods start in 90 s, the objective is 600 s."""
    varied, seconds = Varied("one-batch-from-zero", seed), 5400
    at = varied.whole(300, 300, 600)
    arrival = (*level(0.0, at), varied.about(200_000), *level(0.0, seconds - at - 1))
    settings = policy(min_replicas=0, topics=("jobs",), lag_seconds=600.0)
    return group(varied.name, seed, (Topic("jobs", arrival),), settings, 0, pod_start_seconds=varied.about(90),
                 changes=(float(at),))


def commit_beyond_end(seed: int = 0) -> World:
    """Committed offsets of another cluster: 900,000, while the logs end at 5,000 and grow."""
    varied, seconds = Varied("commit-beyond-end", seed), 1800
    committed, end = varied.whole(900_000, 100_000, 9_000_000), varied.whole(5000, 0, 9000)
    places = tuple(Offsets(number, 0, end, committed) for number in range(6))
    topic = Topic("orders", level(varied.about(100), seconds), partitions=6, offsets=places)
    return group(varied.name, seed, (topic,), policy())


def old_loss_at_rest(seed: int = 0) -> World:
    """Retention deleted the last 600 records of an idle partition long ago."""
    varied = Varied("old-loss-at-rest", seed)
    end = varied.whole(1000, 700, 9000)
    rest = Offsets(5, end, end, end - varied.whole(600, 10, 700))
    topic = Topic("orders", level(varied.about(100, 0.1), 7200), partitions=6, weights=(1, 1, 1, 1, 1, 0),
                  offsets=(rest,))
    return group(varied.name, seed, (topic,), policy(), 2)


def replicas_reset_by_gitops(seed: int = 0) -> World:
    """A GitOps tool resets `replicas` to 1 every three minutes."""
    varied, seconds = Varied("replicas-reset-by-gitops", seed), 3600
    at = varied.whole(300, 300, 600)
    arrival = step(varied.about(80, 0.1), varied.about(500), at, seconds)
    world = group(varied.name, seed, (Topic("orders", arrival),), policy(), changes=(float(at),))
    return replace(world, resets=Resets(1, varied.whole(180, 120, 300)))


def threads_not_told(seed: int = 0) -> World:
    """Three listener threads per pod with the default manifest, at a steady load."""
    varied, seconds = Varied("threads-not-told", seed), 7200
    at = varied.whole(900, 600, 1800)
    threads = varied.whole(3, 2, 4)
    arrival = step(varied.about(150), varied.about(170.0 * threads, 0.1), at, seconds)
    return group(varied.name, seed, (Topic("orders", arrival),), policy(), 1, threads=threads, changes=(float(at),))


def outside_members_leave(seed: int = 0) -> World:
    """Eight outside consumers also read our topic, and leave one minute after a scale-up."""
    varied, seconds = Varied("outside-members-leave", seed), 5400
    at = varied.whole(900, 600, 1500)
    arrival = step(varied.about(250), varied.about(900, 0.1), at, seconds)
    world = group(varied.name, seed, (Topic("orders", arrival),), policy(), 2, changes=(float(at), at + 60.0))
    outside = OutsideMembers("batch", varied.whole(8, 2, 8), ("orders",), until=at + 60.0)
    return replace(world, outside_members=(outside,))


def unread_by_pattern(seed: int = 0) -> World:
    """`topicPattern` matches a dead-letter topic that no member reads."""
    varied, seconds = Varied("unread-by-pattern", seed), 5400
    topics = (Topic("orders", level(varied.about(120), seconds)),
              Topic("orders.dlt", level(varied.about(5), seconds), partitions=varied.whole(12, 1, 12), reader=NOBODY,
                    committed=False))
    return group(varied.name, seed, topics, policy(topic_pattern=r"orders.*", offset_reset=OffsetReset.EARLIEST), 2)


def delayed_retry_topic(seed: int = 0) -> World:
    """Records of a retry topic are processed after ten minutes, on purpose; the main topic has a step."""
    varied, seconds = Varied("delayed-retry-topic", seed), 7200
    at = varied.whole(3600, 2400, 3600)
    topics = (Topic("orders", step(varied.about(150), varied.about(500), at, seconds)),
              Topic("orders-retry", level(varied.about(5), seconds), partitions=6,
                    delay_seconds=varied.about(600)))
    return group(varied.name, seed, topics, policy(), 2, changes=(float(at),))


def trailing_markers_to_zero(seed: int = 0) -> World:
    """Three control records remain at the end of each partition; the load stops, and `minReplicas` is 0."""
    varied, seconds = Varied("trailing-markers-to-zero", seed), 5400
    at = varied.whole(1200, 900, 1800)
    topic = Topic("orders", step(varied.about(150), 0.0, at, seconds), trailing=varied.whole(3, 1, 5))
    return group(varied.name, seed, (topic,), policy(min_replicas=0), 2, changes=(float(at),))


def canary_for_hours(seed: int = 0) -> World:
    """A canary pod runs in addition to the replicas for hours, while the load rises and falls."""
    varied, seconds = Varied("canary-for-hours", seed), 7200
    up, down = varied.whole(1200, 900, 1500), varied.whole(3600, 3000, 3900)
    low, high = varied.about(250), varied.about(800)
    arrival = level(low, up) + level(high, down - up) + level(low, seconds - down)
    world = group(varied.name, seed, (Topic("orders", arrival),), policy(), 3, changes=(float(up), float(down)))
    return replace(world, extra_pods=(ExtraPods(varied.whole(1, 1, 2), 300.0),))


def reconciling_for_long(seed: int = 0) -> World:
    """A KIP-848 group reports Reconciling for 50 minutes while its offsets advance; the load falls."""
    varied, seconds = Varied("reconciling-for-long", seed), 5400
    at = varied.whole(1200, 900, 1500)
    arrival = step(varied.about(600), varied.about(150), at, seconds)
    world = group(varied.name, seed, (Topic("orders", arrival),), policy(), 8, assignor="uniform", protocol="consumer",
                  changes=(float(at),))
    return replace(world, reported_states=(ReportedState("Reconciling", 900.0, 3900.0),))


def streams_assignor(seed: int = 0) -> World:
    """Kafka Streams: 24 tasks over two topics of 12 partitions, with the assignor `stream`."""
    varied, seconds = Varied("streams-assignor", seed), 4800
    at = varied.whole(900, 600, 1200)
    topics = tuple(Topic(name, step(varied.about(100), varied.about(850, 0.1), at, seconds))
                   for name in ("orders", "payments"))
    world = group(varied.name, seed, topics, policy(max_replicas=24), 3, changes=(float(at),))
    return replace(world, assignor=varied.word("stream", "stickytaskassignor", "highavailability"))


CASES: Mapping[str, Callable[[int], World]] = {
    "left-topic": left_topic,
    "group-shared-other-topic": group_shared_other_topic,
    "assigned-by-hand": assigned_by_hand,
    "commits-by-hand-with-topics": commits_by_hand_with_topics,
    "ten-minute-jobs": ten_minute_jobs,
    "rare-commits": rare_commits,
    "twelve-minute-starts": twelve_minute_starts,
    "rebalance-of-minutes": rebalance_of_minutes,
    "poison-and-scale-down": poison_and_scale_down,
    "one-batch-from-zero": one_batch_from_zero,
    "commit-beyond-end": commit_beyond_end,
    "old-loss-at-rest": old_loss_at_rest,
    "replicas-reset-by-gitops": replicas_reset_by_gitops,
    "threads-not-told": threads_not_told,
    "outside-members-leave": outside_members_leave,
    "unread-by-pattern": unread_by_pattern,
    "delayed-retry-topic": delayed_retry_topic,
    "trailing-markers-to-zero": trailing_markers_to_zero,
    "canary-for-hours": canary_for_hours,
    "reconciling-for-long": reconciling_for_long,
    "streams-assignor": streams_assignor,
}
"""All cases by name."""


def case(name: str, seed: int = 0) -> World:
    """The world of that name.

    Raises:
        ValueError: no case has this name.
    """
    if name not in CASES:
        raise ValueError(f"unknown case {name!r}; known cases: {', '.join(CASES)}")
    return CASES[name](seed)
