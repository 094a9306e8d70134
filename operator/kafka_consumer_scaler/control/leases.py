"""The lease of one quota: what to write down and what to tell the broker, given what it has. Pure.

The status is written before the broker is told, and the operator may end between any two steps. So what the broker has
is compared with what it may have:

    rate, former    ours; `former` while a change of the rate is under way
    previous        nobody's: not set yet, or put back already, as long as ours was not seen
    else            somebody else's; believed at the second look, as one broker may lag behind another

| broker has | wanted | not wanted |
|---|---|---|
| rate | as it is; set it if another is wanted | put `previous` back |
| former | set the rate | put `previous` back |
| previous, ours not seen | set the rate | the lease ends |
| previous, ours was seen | given up: somebody put it back | the lease ends |
| else | given up, and left alone | given up, and left alone |

Before `previous` is put back the lease counts as not seen, so that whoever finds it put back knows it was us. A lease
never lifts what held before: the rate is no more than `previous`, or than what is inherited where there was none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from kafka_consumer_scaler.api.upstream import Lease
from kafka_consumer_scaler.kafka.entities import Before, Change, Entity, Standing


@dataclass(frozen=True, slots=True)
class Step:
    """What to do about one entity.

    Args:
        lease: what is to stand in the status before the broker is told; None for no lease.
        change: what the broker is to be told; None for nothing.
        ends: whether the change ends the lease.
        given_up: why the lease was given up; empty when it was not.
        is_doubtful: the broker has something else, which is to be looked at again.
    """

    lease: Lease | None = None
    change: Change | None = None
    ends: bool = False
    given_up: str = ""
    is_doubtful: bool = False

    def after(self, found: Before) -> Lease | None:
        """What is to stand in the status after the broker was told, and `found` was there before."""
        is_done = self.change is not None and found in self.change.expected
        return None if self.ends and is_done else self.lease


def entity_of(lease: Lease) -> Entity:
    """Whose quota it is."""
    return Entity(lease.client_id, lease.user)


def taken(entity: Entity, wanted: int, standing: Standing, cluster: str, now: float) -> Step:
    """A lease is begun, if `wanted` bytes/s are less than what holds already."""
    ceiling = standing.inherited if standing.own is None else standing.own
    if ceiling is not None and ceiling <= wanted:
        return Step()
    lease = Lease(wanted, now, cluster, entity.client_id, entity.user, standing.own)
    return Step(lease, Change(entity, frozenset({standing.own}), wanted))


def went_on(lease: Lease, wanted: int | None, standing: Standing, *, was_doubtful: bool) -> Step:
    """The next step of a lease that stands; `wanted` is None when it is to end."""
    found, ours = standing.own, frozenset({lease.rate} if lease.former is None else {lease.rate, lease.former})
    if wanted is None and found == lease.previous:
        return Step()
    if found not in ours and (found != lease.previous or lease.is_seen):
        return Step(given_up=_given_up(lease, found)) if was_doubtful else Step(lease, is_doubtful=True)
    if wanted is None:
        put_back = Change(entity_of(lease), ours, lease.previous)
        return Step(replace(lease, is_seen=False), put_back, ends=True)
    return _held(lease, _bounded(lease, wanted, standing), found)


def _held(lease: Lease, rate: int, found: int | None) -> Step:
    if found == rate == lease.rate:
        return Step(replace(lease, is_seen=True, former=None))
    former = found if found != lease.previous else None
    return Step(replace(lease, rate=rate, former=former), Change(entity_of(lease), frozenset({found}), rate))


def _bounded(lease: Lease, wanted: int, standing: Standing) -> int:
    ceiling = standing.inherited if lease.previous is None else lease.previous
    return wanted if ceiling is None else min(wanted, ceiling)


def _given_up(lease: Lease, found: int | None) -> str:
    return (f"the quota of {entity_of(lease)} is {spoken(found)} and not {spoken(lease.rate)}: somebody else changed "
            f"it, so it is left alone. Before the operator set it, it was {spoken(lease.previous)}")


def spoken(rate: int | None) -> str:
    """`none` or `5,000 bytes/s`."""
    return "none" if rate is None else f"{rate:,} bytes/s"


def standing_leases(leases: Iterable[Lease | None]) -> tuple[Lease, ...]:
    """Those that there are, always in the same order."""
    return tuple(sorted((lease for lease in leases if lease), key=lambda one: (one.client_id or "", one.user or "")))
