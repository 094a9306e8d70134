"""Advice for consumers, topics and producers: only what measurements support, with what it would gain at best.

The settings of clients cannot be read. Where a rule rests on one, it names Kafka's default, and measurements bound it:
a consumer commits what it has polled, so no more records come in one poll than lie between two commits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from kafka_consumer_scaler.core.assignment import COOPERATIVE
from kafka_consumer_scaler.core.commits import COMMIT_SECONDS
from kafka_consumer_scaler.core.diagnosis import Backlog
from kafka_consumer_scaler.core.membership import Unrest
from kafka_consumer_scaler.core.policy import Policy
from kafka_consumer_scaler.core.situation import Situation
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.core.sustained import sustained

SLOW_PER_CONSUMER = 200.0
"""Records/s; a consumer that does fewer takes over 5 ms for each, which is mostly waiting."""
POLL_RECORDS = 500
"""Kafka's default max.poll.records."""
POLL_INTERVAL_SECONDS = 300.0
"""Kafka's default max.poll.interval.ms: who needs longer between two polls is thrown out of the group."""
POLL_INTERVAL_SHARE = 0.5
SMALL_BYTES_A_SECOND = 100_000.0
"""Arrival of one consumer, bytes/s, under which waiting for more costs no throughput."""
MANY_FETCHES_A_SECOND = 20.0
FETCH_WAIT_SECONDS = 0.5
"""Kafka's default fetch.max.wait.ms."""
COMMIT_SHARE = 0.33
"""Share of the objective that a commit interval may take."""
IDLE_SHARE = 0.25
"""Share of the replicas that are there only because partitions do not divide evenly."""
SKEW_TIMES = 2.0
SKEW_GAIN = 1.25
"""What a partition gets, in even shares, and what even partitions would gain, from which on keys are worth a look."""
LONG_PAUSE_SECONDS = 10.0
RESTLESS_MEMBERS = 3
RESTLESS_SHARE = 0.3
"""Members that came and went within ten minutes, or share of looks that saw a rebalance: a group without rest."""
BATCH_HEADER_BYTES = 61
RECORD_BYTES_AT_LEAST = 7
"""What Kafka stores beside a record's own key and value: once for each batch, and for each record."""
SMALL_RECORD_BYTES = 200.0
MANY_RECORDS_A_SECOND = 100.0


@dataclass(frozen=True, slots=True)
class Advice:
    """What could be changed outside of this program.

    Args:
        about: the setting or the part it is about.
        evidence: the measurements it rests on.
        remedy: what to do, in one sentence.
        gain: what it brings at best; empty when that cannot be told.
    """

    about: str
    evidence: str
    remedy: str
    gain: str = ""


Rule = Callable[[Policy, Situation], Advice | None]


def advise(policy: Policy, situation: Situation) -> tuple[Advice, ...]:
    """All advice that the measurements support, what gains throughput first."""
    found = (rule(policy, situation) for rule in RULES)
    return tuple(advice for advice in found if advice is not None)


def slow_records(policy: Policy, situation: Situation) -> Advice | None:
    """A consumer takes long for a record, and the group needs more than one consumer for it."""
    arrival, capacity = _average(situation), _learned(situation)
    if capacity is None or arrival is None or capacity >= SLOW_PER_CONSUMER or arrival <= capacity:
        return None
    return Advice(
        "processing", f"one consumer does {_short(capacity)} records/s: {1000 / capacity:,.0f} ms a record",
        "if that is mostly waiting, process the records of a poll as one batch, or several at once (asynchronously)",
        f"in half the time a record, {ceil(arrival / (2 * capacity))} instead of {ceil(arrival / capacity)} consumers "
        "keep up")


def more_partitions(policy: Policy, situation: Situation) -> Advice | None:
    """More arrives than as many consumers as there are partitions can do.

    1,300 records/s on 12 partitions at 100 a consumer: 13 partitions.
    """
    arrival, capacity, count = _average(situation), _planned(policy, situation), sum(situation.spread.shares)
    if capacity is None or arrival is None or situation.withdrawn_to is not None or arrival <= capacity * count:
        return None
    return Advice(
        "partitions", f"{arrival:,.0f} records/s arrive, and {count} partitions let no more than {count} consumers "
        f"work, which do {capacity * count:,.0f}",
        f"have at least {ceil(arrival / capacity)} partitions, or faster consumers",
        f"up to {arrival / (capacity * count):.2g} times")


def uneven_partitions(policy: Policy, situation: Situation) -> Advice | None:
    """The partitions do not divide evenly by the consumers needed, so many more replicas run.

    700 records/s on 12 partitions at 100 a consumer need 7, but 7..11 are no faster than 6: 12 run. Of 14 partitions 7.
    """
    arrival, capacity, spread = _average(situation), _planned(policy, situation), situation.spread
    if capacity is None or arrival is None or len(spread.shares) != 1 or spread.threads != 1 or spread.foreign:
        return None
    needed, count = max(1, ceil(arrival / capacity)), spread.shares[0]
    taken = spread.next_faster(needed)
    if needed >= count or situation.current < taken or taken - needed < IDLE_SHARE * taken:
        return None
    better = -(-count // needed) * needed
    return Advice(
        "partitions", f"{arrival:,.0f} records/s need {needed} consumers, and with {count} partitions "
        f"{spread.fewest_as_fast(needed)} to {taken - 1} replicas are equally fast",
        f"have {better} partitions, which {needed} replicas divide evenly", f"{needed} replicas instead of {taken}")


def topics_divided_apart(policy: Policy, situation: Situation) -> Advice | None:
    """The range assignor divides each topic apart, so the largest topic bounds the consumers, and they are too few."""
    arrival, capacity, spread = _average(situation), _planned(policy, situation), situation.spread
    count, useful = sum(spread.shares), situation.spread.useful_replicas
    if capacity is None or arrival is None or len(spread.shares) < 2 or situation.assignor != "range" or not useful:
        return None
    most = capacity * count / spread.busiest(useful)
    if arrival <= most or situation.withdrawn_to is not None:
        return None
    return Advice(
        "partition.assignment.strategy", f"{arrival:,.0f} records/s arrive; the range assignor divides each topic "
        f"apart, so no more than {useful} replicas work, which do {most:,.0f}",
        f"use an assignor that divides all {count} partitions together, such as cooperative-sticky",
        f"up to {count / (useful * spread.threads):.2g} times")


def uneven_keys(policy: Policy, situation: Situation) -> Advice | None:
    """A partition gets far more than an even share, and its consumer bounds what the present replicas do."""
    arrival, shares = _average(situation), situation.shares
    if not arrival or not shares or situation.current == 0:
        return None
    busiest = max(sorted(shares), key=lambda tp: shares[tp])
    share, even = shares[busiest], 1 / len(shares)
    gain = _gain_of_even_shares(situation)
    if share < SKEW_TIMES * even or gain < SKEW_GAIN:
        return None
    return Advice(
        "keys", f"{busiest} gets {share:.0%} of the records, an even share is {even:.0%}",
        "choose keys that spread the records more evenly, or split the most frequent one", f"up to {gain:.2g} times")


def _gain_of_even_shares(situation: Situation) -> float:
    """How much more the present replicas would keep up with, were all partitions alike."""
    alike = _even_share_of_the_busiest(situation)
    whole = sustained(situation, 1.0, situation.current)
    hot = max((situation.shares.get(tp, 0.0) for tp in situation.hot), default=0.0)
    now = min(whole, 1 / hot if hot else whole)
    return 1 / (alike * now) if alike * now > 0 else 1.0


def _even_share_of_the_busiest(situation: Situation) -> float:
    spread = situation.spread
    return spread.busiest(situation.current) / max(1, sum(spread.shares))


def slow_polls(policy: Policy, situation: Situation) -> Advice | None:
    """A full poll takes so long that the consumer may be thrown out of the group for not polling.

    2 records/s: 500 take 250 s of 300 s, unless commits are seen more often than that.
    """
    capacity, between = _learned(situation), _seconds_between_commits(policy, situation)
    if capacity is None or between is None:
        return None
    seconds = min(POLL_RECORDS / capacity, between)
    if seconds < POLL_INTERVAL_SHARE * POLL_INTERVAL_SECONDS:
        return None
    fits = max(1, int(POLL_INTERVAL_SHARE * POLL_INTERVAL_SECONDS * capacity))
    return Advice(
        "max.poll.records", f"one consumer does {_short(capacity)} records/s and commits every {between:,.0f} s; "
        f"max.poll.interval.ms is {POLL_INTERVAL_SECONDS:,.0f} s by default",
        f"set max.poll.records to {min(fits, POLL_RECORDS)} or less, or raise max.poll.interval.ms")


def small_fetches(policy: Policy, situation: Situation) -> Advice | None:
    """Little arrives for each consumer, in many small fetches, as a fetch is answered once it has one byte."""
    arrival, total = _average(situation), _bytes_a_second(situation)
    working = _working(situation)
    if arrival is None or total is None or working < 1 or situation.backlog is not Backlog.CAUGHT_UP:
        return None
    fetches, each = arrival / working, total / working
    if fetches < MANY_FETCHES_A_SECOND or each >= SMALL_BYTES_A_SECOND or policy.lag_seconds <= FETCH_WAIT_SECONDS:
        return None
    return Advice(
        "fetch.min.bytes", f"each of {working} consumers gets {fetches:,.0f} records/s and {each:,.0f} bytes/s: with "
        f"fetch.min.bytes 1, the default, in up to {fetches:,.0f} fetches a second",
        f"set fetch.min.bytes to {each * FETCH_WAIT_SECONDS:,.0f} and leave fetch.max.wait.ms at "
        f"{1000 * FETCH_WAIT_SECONDS:.0f}, the longest that a record then waits",
        f"up to {fetches * FETCH_WAIT_SECONDS:,.0f} times fewer fetches")


def rare_commits(policy: Policy, situation: Situation) -> Advice | None:
    """Commits are so far apart that lag looks old between them; the default is assumed and proves nothing."""
    interval = situation.commit_interval
    if isinstance(interval, Unknown) or interval <= max(COMMIT_SECONDS, COMMIT_SHARE * policy.lag_seconds):
        return None
    return Advice(
        "auto.commit.interval.ms", f"a consumer commits every {interval:,.0f} s, and the objective is "
        f"{policy.lag_seconds:,.0f} s", f"commit every {COMMIT_SECONDS:.0f} s, Kafka's default",
        f"lag looks up to {interval - COMMIT_SECONDS:,.0f} s younger, and as much less is done again after a failure")


def costly_rebalances(policy: Policy, situation: Situation) -> Advice | None:
    """Every rebalance stops all consumers, and that was measured to be long, or members come and go."""
    if not situation.assignor or situation.assignor in COOPERATIVE:
        return None
    pause, unrest = situation.memory.pause_seconds, situation.unrest
    long = pause is not None and pause >= LONG_PAUSE_SECONDS
    if not long and unrest.left < RESTLESS_MEMBERS and unrest.rebalancing < RESTLESS_SHARE:
        return None
    return Advice(
        "partition.assignment.strategy",
        f"the {situation.assignor} assignor stops all consumers at each rebalance{_rebalances(pause, unrest)}",
        "use the cooperative-sticky assignor, and give each consumer a group.instance.id (static membership)",
        f"up to {pause:,.0f} s of processing at each rebalance" if pause is not None else "")


def _rebalances(pause: float | None, unrest: Unrest) -> str:
    said = "" if pause is None else f", which costs {pause:,.0f} s of processing"
    if unrest.left >= RESTLESS_MEMBERS:
        said += f"; {unrest.left} members came and went within 10 minutes"
    return f"{said}; {unrest.rebalancing:.0%} of the looks saw one" if unrest.rebalancing >= RESTLESS_SHARE else said


def small_records(policy: Policy, situation: Situation) -> Advice | None:
    """Many small records, of which each may have a batch of its own; a mean under 68 bytes proves that they share one.

    A record of 110 bytes that is sent alone: 61 of them are the batch's header, 110 / 49 = 2.2.
    """
    arrival = _average(situation)
    alone = BATCH_HEADER_BYTES + RECORD_BYTES_AT_LEAST
    found = [(rate, topic) for topic, rate in _rates_of_topics(situation, arrival or 0.0).items()
             if rate >= MANY_RECORDS_A_SECOND and alone <= situation.details.record_bytes.get(topic, 0.0)
             <= SMALL_RECORD_BYTES]
    if not found:
        return None
    rate, topic = max(found)
    size = situation.details.record_bytes[topic]
    return Advice(
        "linger.ms", f"a record of {topic} takes {size:,.0f} bytes on average, and {rate:,.0f} arrive a second; one "
        f"that is sent alone takes {BATCH_HEADER_BYTES} bytes for the header of its batch",
        "let producers batch: a linger.ms of some milliseconds, a larger batch.size, and compression",
        f"up to {size / (size - BATCH_HEADER_BYTES):.2g} times fewer bytes")


def compacted_topics(policy: Policy, situation: Situation) -> Advice | None:
    """Compaction takes records from a topic, and lag is a difference of offsets: it counts those that are gone."""
    topics = sorted(situation.details.compacted & {tp.topic for tp in situation.lag})
    if not topics:
        return None
    several = f" and {len(topics) - 1} more" if len(topics) > 1 else ""
    return Advice(
        "cleanup.policy", f"{topics[0]}{several} is compacted: offsets whose records were removed count as lag, so a "
        "group that reads old records has fewer of them before it than its lag says",
        "read its lag as an upper bound while it reads from the beginning; at the end of the log it is exact")


RULES: tuple[Rule, ...] = (
    slow_records, more_partitions, uneven_partitions, topics_divided_apart, uneven_keys, slow_polls, small_fetches,
    rare_commits, costly_rebalances, small_records, compacted_topics,
)
"""What gains throughput comes first, then what saves requests and time, then what concerns producers alone."""


def _average(situation: Situation) -> float | None:
    arrival = situation.rates.arrival
    return None if isinstance(arrival, Unknown) else arrival.average


def _learned(situation: Situation) -> float | None:
    """Records/s of one consumer; a lower bound supports no advice."""
    capacity = situation.rates.capacity
    if isinstance(capacity, Unknown) or not capacity.learned or capacity.per_consumer <= 0:
        return None
    return capacity.per_consumer


def _planned(policy: Policy, situation: Situation) -> float | None:
    capacity = _learned(situation)
    return None if capacity is None else policy.utilization * capacity


def _working(situation: Situation) -> int:
    """Consumers that have a partition."""
    return min(situation.spread.consumers(situation.current), max(situation.spread.shares, default=0))


def _seconds_between_commits(policy: Policy, situation: Situation) -> float | None:
    """At most; commits that every poll of ours sees may be as far apart as these."""
    interval = situation.commit_interval
    return None if isinstance(interval, Unknown) else max(interval, float(policy.polling_interval_seconds))


def _rates_of_topics(situation: Situation, arrival: float) -> dict[str, float]:
    found: dict[str, float] = {}
    for tp, share in sorted(situation.shares.items()):
        found[tp.topic] = found.get(tp.topic, 0.0) + share * arrival
    return found


def _bytes_a_second(situation: Situation) -> float | None:
    """Arrival in bytes/s; None unless the size of every topic's records is known."""
    rates, sizes = _rates_of_topics(situation, _average(situation) or 0.0), situation.details.record_bytes
    return sum(rate * sizes[topic] for topic, rate in rates.items()) if rates.keys() <= sizes.keys() else None


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"
