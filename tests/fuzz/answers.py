"""Answers of a broker, of any kind that the types let through: what a broken or hostile one could say."""

from __future__ import annotations

from hypothesis import strategies as st

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Details, Group, Member, Reading, TopicPartition, Uncommitted, Unknown
from kafka_consumer_scaler.kafka.sample import GroupSample
from tests.fuzz.values import INT64, mostly, odd_texts, texts

TOPICS = ("orders", "refunds", "", "a\nb", "\x1b[2J", "t" * 249, "\u202eevil")

offsets = (st.sampled_from([-INT64 - 1, -1001, -2, -1, 0, 1, 2**31, 2**53 + 1, INT64 - 1, INT64])
           | st.integers(-10, 10_000))
partitions = st.builds(TopicPartition, st.sampled_from(TOPICS), st.sampled_from([-1, 0, 1, 2, 3, 2**31 - 1]))
unknowns = st.builds(Unknown, texts, st.sampled_from(Reason))
readings = st.builds(Reading, offsets, offsets | st.just(Uncommitted()), offsets)
_steady = st.builds(lambda lag, end: Reading(end, end - lag), st.integers(0, 5000), st.integers(5000, 9000))

members = st.builds(Member, st.sampled_from(["m0", "m1", "m1", ""]) | texts, st.frozensets(partitions, max_size=4))
groups = st.builds(
    Group,
    st.sampled_from(["Stable", "Empty", "Dead", "PreparingRebalance", "Assigning", "Reconciling"]) | odd_texts,
    st.sampled_from(["range", "cooperative-sticky", "uniform", ""]) | odd_texts,
    st.lists(members, max_size=5).map(tuple),
)
_amounts = st.sampled_from([-1.0, 0.0, 1e-300, 1e300, float("inf"), float("nan")]) | st.floats(0, 1e6)
details = st.builds(
    Details,
    st.dictionaries(st.sampled_from(TOPICS), _amounts, max_size=3),
    st.dictionaries(partitions, offsets, max_size=3),
    st.none() | _amounts,
)

samples = st.builds(
    GroupSample,
    st.dictionaries(partitions, mostly(_steady, readings, unknowns), max_size=6) | unknowns,
    groups | unknowns,
    st.just(Details()) | details,
)
"""One look of any kind."""

pauses = st.sampled_from([0.0, 0.001, 1.0, 15.0, 60.0, 3600.0, 1e6])
"""Seconds between two looks."""


@st.composite
def plausible_looks(draw: st.DrawFn) -> list[tuple[float, GroupSample]]:
    """Looks at one group that goes on, so that rates and capacities are learned, with odd looks in between."""
    tps = draw(st.lists(partitions, min_size=1, max_size=4, unique=True))
    group = Group("Stable", draw(st.sampled_from(["range", "sticky"])), (Member(draw(texts), frozenset(tps)),))
    end, committed = draw(st.sampled_from([0, 10**6, 2**62])), 0
    looks: list[tuple[float, GroupSample]] = []
    for _ in range(draw(st.integers(6, 14))):
        end += draw(st.sampled_from([0, 1, 500, 10**9, 2**60]))
        committed = min(end, committed + draw(st.sampled_from([0, 100, 10**6, 2**61])))
        looks.append((15.0, GroupSample({tp: Reading(min(end, INT64), committed) for tp in tps}, group)))
        if draw(st.integers(0, 4)) == 0:
            looks.append((draw(pauses), draw(samples)))
    return looks
