"""Each law holds of a good record and fails on one that breaks it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.invariants import LAWS, SETTLE_SECONDS, WRITE_LAWS, bounds_of, changes, violations, wrong_writes
from tests.faults.record import Injected, Lifetime, Look, Record, Settled, Write, load

A, B = "operator-a", "operator-b"
BOUNDS = bounds_of(least=2, most=10, useful=6, pace=(4.0, 8.0, 8.0, 2.0))
UID = "uid-1"


def write(at: float, *, user: str = A, verb: str = "patch", resource: str = "deployments/scale", name: str = "orders",
          code: int = 200, replicas: int | None = None, reason: str = "", holder: str = "") -> Write:
    uid = UID if resource == "events" else ""
    return Write(at, at + 0.1, user, verb, resource, name, code, replicas, reason, uid, holder)


def scaled(at: float, replicas: int, user: str = A) -> Write:
    return write(at, user=user, replicas=replicas)


def event(at: float, reason: str) -> Write:
    return write(at, verb="create", resource="events", reason=reason)


def held(at: float, holder: str) -> Write:
    return write(at, user=holder, verb="update", resource="leases", name="election", holder=holder)


def look(at: float, doubt: str = "", *, is_metric: bool = True, instance: str = A) -> Look:
    return Look(at, "orders", instance, doubt, bool(doubt) and is_metric, 4, None)


STARTED = write(0.0, user="admin", resource="deployments", replicas=4)
GOOD = Record(
    users=(A, B),
    bounds={"orders": BOUNDS},
    lifetimes=(Lifetime("orders", UID, 0.0, None),),
    writes=(STARTED, scaled(20.0, 6), scaled(40.0, 3)),
    looks=tuple(look(float(at)) for at in range(2, 60, 2)),
    settled=(Settled(0, "orders", 90.0, 3, 12.0, ""),),
    starts={A: (1.0,), B: (1.0,)},
    kills={A: (), B: ()},
)


def with_writes(*writes: Write) -> Record:
    return replace(GOOD, writes=(STARTED, *writes))


def with_doubt(at: float, why: str = "no leader", *, is_metric: bool = True) -> Record:
    return replace(GOOD, looks=tuple(look(each.at, why, is_metric=is_metric) if each.at == at else each
                                     for each in GOOD.looks))


BLIND = Injected("brokers-cut", 0, since=15.0, until=25.0, healed=26.0, words="", is_blind=True)
TWO_LEADERS = (held(5.0, A), held(30.0, B))
IN_DOUBT = tuple(look(float(at), "gone" if 10 <= at <= 18 else "") for at in range(2, 60, 2))

BROKEN = {
    "bounds": with_writes(scaled(20.0, 1)),
    "useful": with_writes(scaled(20.0, 7)),
    "doubt": with_doubt(38.0),
    "start": replace(GOOD, starts={A: (1.0, 35.0)}),
    "blind": replace(GOOD, faults=(BLIND,)),
    "cooldown": with_writes(scaled(20.0, 6), scaled(27.0, 3)),
    "leader": with_writes(*TWO_LEADERS, scaled(20.0, 6), scaled(40.0, 3)),
    "deleted": replace(GOOD, lifetimes=(Lifetime("orders", UID, 0.0, 30.0),)),
    "role": with_writes(write(20.0, resource="deployments")),
    "said": with_writes(event(10.0, "MetricsUnavailable"), event(14.0, "MetricsUnavailable")),
    "unsaid": replace(GOOD, looks=IN_DOUBT),
    "settled": replace(GOOD, settled=(Settled(0, "orders", 90.0, 3, None, "there are 6"),)),
}


def laws_broken(record: Record) -> set[str]:
    return {violation.law for violation in violations(record)}


def test_a_good_record_breaks_no_law() -> None:
    assert violations(GOOD) == ()
    assert [(change.before, change.after) for change in changes(GOOD)] == [(4, 6), (6, 3)]


@pytest.mark.parametrize("law", BROKEN)
def test_each_law_is_broken_by_a_record_that_breaks_it_and_no_other(law: str) -> None:
    assert laws_broken(BROKEN[law]) == {law}


def test_every_law_has_a_record_that_breaks_it() -> None:
    caught = {law.__name__ for law in LAWS for record in BROKEN.values() if any(law(record))}
    assert caught == {law.__name__ for law in LAWS} - {"seen_within_bounds"}
    assert set(WRITE_LAWS) < set(LAWS)


def test_what_the_controller_saw_outside_of_the_bounds_is_a_wrong_write_too() -> None:
    assert [each.law for each in wrong_writes(replace(GOOD, seen=((20.0, "orders", 7),)))] == ["bounds"]


def test_a_complaint_that_is_never_withdrawn_is_no_wrong_write() -> None:
    assert wrong_writes(BROKEN["said"]) == wrong_writes(BROKEN["unsaid"]) == wrong_writes(BROKEN["settled"]) == ()


def test_a_refused_write_is_no_change() -> None:
    assert changes(with_writes(write(20.0, code=409, replicas=1))) == ()


def test_a_change_by_someone_else_is_not_an_operators() -> None:
    assert changes(with_writes(scaled(20.0, 1, user="admin"))) == ()


def test_a_group_that_is_not_known_is_a_doubt_too() -> None:
    assert laws_broken(with_doubt(38.0, "the coordinator is away", is_metric=False)) == {"doubt"}


def test_a_doubt_or_two_within_the_window_break_nothing_and_three_in_a_row_do() -> None:
    def gone(*at: float) -> Record:
        return replace(GOOD, looks=tuple(look(each.at, "gone" if each.at in at else "") for each in GOOD.looks))

    assert "doubt" not in laws_broken(gone(32.0, 34.0))
    assert "doubt" in laws_broken(gone(30.0, 32.0, 34.0))


def test_a_doubt_before_a_scale_up_breaks_nothing() -> None:
    assert violations(with_doubt(18.0)) == ()


def test_the_doubt_of_an_operator_that_stands_by_breaks_nothing() -> None:
    assert violations(replace(GOOD, looks=(*GOOD.looks, look(38.0, "no leader", instance=B)))) == ()


def test_a_scale_up_may_come_soon_after_a_start() -> None:
    assert violations(replace(GOOD, starts={A: (1.0, 18.0)})) == ()


def test_a_change_that_was_under_way_when_a_fault_came_breaks_nothing() -> None:
    assert violations(replace(GOOD, faults=(replace(BLIND, since=19.0),))) == ()


def test_a_new_scaler_of_the_same_name_owes_no_cooldown() -> None:
    lives = (Lifetime("orders", UID, 0.0, 21.0), Lifetime("orders", "uid-2", 22.0, None))
    assert laws_broken(replace(BROKEN["cooldown"], lifetimes=lives)) == set()


def test_one_leader_after_the_other_may_write() -> None:
    record = with_writes(*TWO_LEADERS, scaled(20.0, 6), scaled(40.0, 3, user=B))
    assert violations(record) == ()


def test_a_thief_takes_a_leaders_right_to_write_only_when_its_lease_has_passed() -> None:
    stolen = write(12.0, user="admin", resource="leases", name="election", holder="thief")
    assert violations(with_writes(held(10.0, A), stolen, scaled(20.0, 6))) == ()
    assert laws_broken(with_writes(held(10.0, A), stolen, scaled(27.0, 6))) == {"leader"}


def test_who_never_held_the_lease_may_not_write() -> None:
    assert laws_broken(with_writes(held(1.0, "thief"), scaled(20.0, 6))) == {"leader"}


def test_a_lease_of_another_name_is_nobodys_right() -> None:
    assert violations(with_writes(replace(held(10.0, B), name="other"), scaled(20.0, 6))) == ()


def test_a_complaint_and_its_recovery_are_said_once_each() -> None:
    said = (event(16.0, "MetricsUnavailable"), event(21.0, "MetricsRecovered"))
    record = replace(with_writes(*said), looks=IN_DOUBT)
    assert violations(record) == ()
    assert laws_broken(replace(record, writes=record.writes[:-1])) == {"unsaid"}
    assert laws_broken(replace(record, writes=(STARTED, said[1]))) == {"said", "unsaid"}


def test_who_was_killed_in_between_may_say_it_again() -> None:
    assert laws_broken(replace(BROKEN["said"], kills={A: (12.0,)})) == set()


def test_two_minutes_are_the_limit() -> None:
    late = Settled(0, "orders", 300.0, 3, SETTLE_SECONDS + 1, "")
    assert laws_broken(replace(GOOD, settled=(late,))) == {"settled"}


def test_a_record_comes_back_as_it_was_kept(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("record")
    record = replace(BROKEN["blind"], seen=((1.0, "orders", 4),))
    record.save(folder)
    assert load(folder) == record
