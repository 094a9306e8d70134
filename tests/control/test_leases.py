"""The lease of a quota: by table, and for whatever step the operator ends at."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafka_consumer_scaler.api.upstream import Lease, leases_as_status, leases_from_status
from kafka_consumer_scaler.control.leases import Step, taken, went_on
from kafka_consumer_scaler.kafka.entities import Change, Entity, Standing

WEB = Entity(client_id="web")
NEW = Lease(rate=500, since=1_700_000_000.0, cluster="c", client_id="web", previous=1000)
SEEN = replace(NEW, is_seen=True)
LOWERED = replace(SEEN, rate=300, former=500)
BARE = replace(SEEN, previous=None)


def change(*expected: int | None, to: int | None) -> Change:
    return Change(WEB, frozenset(expected), to)


@pytest.mark.parametrize(("standing", "step"), [
    (Standing(), Step(replace(NEW, previous=None), change(None, to=500))),
    (Standing(own=1000), Step(NEW, change(1000, to=500))),
    (Standing(own=500), Step()),
    (Standing(own=400, inherited=900), Step()),
    (Standing(inherited=400), Step()),
    (Standing(own=1000, inherited=400), Step(NEW, change(1000, to=500))),
])
def test_a_lease_begins_only_where_it_holds_producers_to_less_than_before(standing: Standing, step: Step) -> None:
    assert taken(WEB, 500, standing, "c", NEW.since) == step


@pytest.mark.parametrize(("lease", "found", "wanted", "step"), [
    # the broker has the rate
    (SEEN, 500, 500, Step(SEEN)),
    (NEW, 500, 500, Step(SEEN)),
    (SEEN, 500, 300, Step(LOWERED, change(500, to=300))),
    (SEEN, 500, 2000, Step(replace(SEEN, rate=1000, former=500), change(500, to=1000))),
    (SEEN, 500, None, Step(NEW, change(500, to=1000), ends=True)),
    # it has the one before the rate
    (LOWERED, 500, 300, Step(LOWERED, change(500, to=300))),
    (LOWERED, 300, 300, Step(replace(SEEN, rate=300))),
    (LOWERED, 500, None, Step(replace(LOWERED, is_seen=False), change(300, 500, to=1000), ends=True)),
    (LOWERED, 300, 200, Step(replace(SEEN, rate=200, former=300), change(300, to=200))),
    # it has what was before: not set yet, or put back
    (NEW, 1000, 500, Step(NEW, change(1000, to=500))),
    (NEW, 1000, 400, Step(replace(NEW, rate=400), change(1000, to=400))),
    (NEW, 1000, None, Step()),
    (SEEN, 1000, None, Step()),
    (BARE, None, None, Step()),
    (replace(BARE, is_seen=False), None, 500, Step(replace(BARE, is_seen=False), change(None, to=500))),
])
def test_what_follows_from_what_the_broker_has(lease: Lease, found: int | None, wanted: int | None, step: Step) -> None:
    for was_doubtful in (False, True):
        assert went_on(lease, wanted, Standing(own=found), was_doubtful=was_doubtful) == step


@pytest.mark.parametrize(("lease", "found", "wanted"), [
    (SEEN, 700, 500), (SEEN, 700, None), (SEEN, None, 500), (SEEN, None, None), (NEW, 700, 500), (SEEN, 1000, 500),
    (BARE, None, 500), (BARE, 700, 300), (replace(SEEN, rate=300), 500, 300),
])
def test_what_somebody_else_set_is_looked_at_twice_and_left_alone(
    lease: Lease, found: int | None, wanted: int | None
) -> None:
    standing = Standing(own=found)
    assert went_on(lease, wanted, standing, was_doubtful=False) == Step(lease, is_doubtful=True)
    step = went_on(lease, wanted, standing, was_doubtful=True)
    assert (step.lease, step.change) == (None, None)
    assert "somebody else changed it" in step.given_up


def test_a_rate_never_lifts_what_was_inherited() -> None:
    step = went_on(BARE, 900, Standing(own=500, inherited=600), was_doubtful=False)
    assert step.change == change(500, to=600)


def test_a_lease_ends_only_when_the_broker_had_what_was_expected() -> None:
    step = went_on(SEEN, None, Standing(own=500), was_doubtful=False)
    assert step.after(500) is None
    assert step.after(700) == NEW
    assert Step(NEW, change(1000, to=500)).after(1000) == NEW


@pytest.mark.parametrize("lease", [NEW, SEEN, LOWERED, BARE, replace(NEW, client_id=None, user="shop")])
def test_a_lease_is_read_from_the_status_as_it_was_written(lease: Lease) -> None:
    assert leases_from_status(leases_as_status([lease])) == (lease,)
    assert leases_as_status([]) == {}


@pytest.mark.parametrize("spoilt", [
    {"clientId": None}, {"user": "shop"}, {"clientId": ""}, {"bytesPerSecond": -1}, {"bytesPerSecond": True},
    {"bytesPerSecond": "5"}, {"previousBytesPerSecond": 1.5}, {"previousBytesPerSecond": 2**63}, {"since": "yesterday"},
    {"clusterId": 7}, {"clusterId": "\n"}, {"clientId": "web\x1b[2J"}, {"isSeen": "yes"}, {"bytesPerSecond": None},
])
def test_what_is_no_lease_is_not_taken_for_one(spoilt: dict[str, object]) -> None:
    [good] = leases_as_status([SEEN])["quotaLeases"]
    bad = {name: value for name, value in {**good, **spoilt}.items() if value is not None}
    assert leases_from_status({"quotaLeases": [bad, "web", None, good]}) == (SEEN,)
    assert leases_from_status({"quotaLeases": {"clientId": "web"}}) == ()
