"""How a group's partitions are given to its members, as Kafka's assignors do it.

Kafka, clients/src/main/java/org/apache/kafka/clients/consumer: RangeAssignor, RoundRobinAssignor, StickyAssignor; all
members subscribe to all topics here, which makes the sticky ones simple: equal counts, as few moves as possible.
"""

from __future__ import annotations

from collections.abc import Sequence

Owners = list[str | None]
"""The owner's member id for each partition; None is nobody."""


def assign(assignor: str, before: Sequence[str | None], members: Sequence[str], topics: int) -> Owners:
    """The new owner of each partition.

    Args:
        assignor: Kafka's name of it; all but range and roundrobin keep what they can.
        before: the owners up to now, some of whom may be gone.
        members: the ids of the members.
        topics: the partitions belong to so many topics, in equal parts.
    """
    if not members:
        return [None] * len(before)
    if assignor == "range":
        return _range(len(before), sorted(members), topics)
    if assignor == "roundrobin":
        ordered = sorted(members)
        return [ordered[partition % len(ordered)] for partition in range(len(before))]
    return _sticky(before, sorted(members))


def topic_sizes(partitions: int, topics: int) -> list[int]:
    """Partitions of each topic: 10 over 3 topics are 4, 3, 3."""
    return [partitions // topics + (topic < partitions % topics) for topic in range(topics)]


def _range(partitions: int, members: list[str], topics: int) -> Owners:
    """Each topic apart in blocks, the first members getting one more: 5 over 2 are A A A B B."""
    owners: Owners = []
    for size in topic_sizes(partitions, topics):
        for member, block in zip(members, topic_sizes(size, len(members)), strict=True):
            owners += [member] * block
    return owners


def _sticky(before: Sequence[str | None], members: list[str]) -> Owners:
    """Equal counts (they differ by 1 at most); members with the most keep the larger counts, so the fewest move."""
    held: dict[str, list[int]] = {member: [] for member in members}
    free: list[int] = []
    for partition, owner in enumerate(before):
        held.get(owner or "", free).append(partition)
    ranked = sorted(members, key=lambda member: -len(held[member]))
    quota = dict(zip(ranked, topic_sizes(len(before), len(members)), strict=True))
    for member in members:
        free += held[member][quota[member]:]
        del held[member][quota[member]:]
    free.sort(reverse=True)
    owners: Owners = [None] * len(before)
    for member in members:
        while len(held[member]) < quota[member]:
            held[member].append(free.pop())
        for partition in held[member]:
            owners[partition] = member
    return owners
