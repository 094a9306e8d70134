"""A coordinator whose members subscribe to different topics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kafka_consumer_scaler.simulation.assignors import Owners, assign
from kafka_consumer_scaler.simulation.group import Coordinator


@dataclass(slots=True)
class SharedGroup(Coordinator):
    """A group with several subscriptions; topics with the same subscribers are assigned together.

    Args:
        places: the partitions of each topic.
        ours: the topics that our own members subscribe to.
        others: the subscribed topics of each outside member, by its id.
    """

    places: Mapping[str, range] = field(default_factory=dict)
    ours: frozenset[str] = frozenset()
    others: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def assigned(self, before: Owners) -> Owners:
        """The new owner of each partition; `before` has the current owners."""
        owners: Owners = [None] * len(before)
        for subscribers, partitions in self._together():
            given = assign(self.spec.assignor, [before[each] for each in partitions], subscribers, 1)
            for partition, owner in zip(partitions, given, strict=True):
                owners[partition] = owner
        return owners

    def _together(self) -> list[tuple[tuple[str, ...], list[int]]]:
        """Partitions that are assigned together, with their subscribers; under range each topic separately."""
        each = [(tuple(member for member in self.members if topic in self.others.get(member, self.ours)), list(places))
                for topic, places in self.places.items()]
        if self.spec.assignor == "range":
            return each
        found: dict[tuple[str, ...], list[int]] = {}
        for subscribers, partitions in each:
            found.setdefault(subscribers, []).extend(partitions)
        return list(found.items())
