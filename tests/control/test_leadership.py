"""The election: each transition by itself, then two or three machines in a world of faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_consumer_scaler.control import leadership
from kafka_consumer_scaler.control.leadership import Answer, Election, Read, Role, Timing, Update
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kube.claim import Claim, Found
from tests.control.lease_world import TICK, TIMING, Machine, Server, World, world

NO_ANSWER = Unknown("no answer")
OTHERS = Found(Claim("b", 15, "then", "then", 7), "70")
TOLD = TIMING.lease_seconds + 1.2 * TIMING.retry_seconds
"""After the last fault someone leads within the lease and a standby's longest pause, by its clock."""


def stepped(machine: Election, now: float, answer: Answer, took: float = 0.0) -> Election:
    """The machine after its next step was answered so."""
    step = machine.step(now, f"at {now}")
    assert step is not None
    return machine.with_answer(step, now, now + took, answer)


def on(server: Server, machine: Election, now: float) -> Election:
    """The machine after the server carried out its next step."""
    step = machine.step(now, f"{machine.me} at {now}")
    assert step is not None
    return machine.with_answer(step, now, now, server.carry_out(step))


def leading(server: Server, me: str = "a", now: float = 0.0) -> Election:
    """A machine that leads since `now`."""
    server.put(Claim("", 1, "", "", 3))
    return on(server, on(server, Election(me), now), now)


def test_a_lease_that_is_not_there_is_made_for_nobody_and_taken_only_after_its_duration() -> None:
    server, machine = Server(), Election("a")
    for _ in range(3):
        machine = on(server, machine, 0.0)
    assert server.lease is not None
    assert server.lease.claim.holder == ""
    assert isinstance(machine.step(14.9, ""), Read)
    machine = on(server, machine, 15.0)
    assert (machine.role(15.0), server.lease.claim.holder) == (Role.LEADER, "a")


def test_a_record_is_taken_over_a_whole_duration_after_it_was_first_seen() -> None:
    machine = stepped(Election("a"), 100.0, OTHERS, took=1.0)
    assert machine.pause(101.0, jitter=1.0) == pytest.approx(2.4)
    machine = stepped(machine, 103.0, OTHERS)
    assert isinstance(machine.step(115.9, ""), Read)
    assert machine.pause(115.5, jitter=0.0) == pytest.approx(0.5)
    taken = machine.step(116.0, "s")
    assert taken == Update(Claim("a", 15, "s", "s", 8), "70")


def test_a_record_that_changes_is_waited_for_anew_whatever_its_stamps_say() -> None:
    machine = stepped(Election("a"), 0.0, OTHERS)
    machine = stepped(machine, 14.0, replace(OTHERS, version="71"))
    assert isinstance(machine.step(28.9, ""), Read)
    assert isinstance(machine.step(29.0, ""), Update)


@pytest.mark.parametrize(("told", "waited"), [(1, 15.0), (15, 15.0), (40, 40.0), (10**9, 60.0)])
def test_a_longer_duration_in_the_record_is_respected_up_to_a_minute(told: int, waited: float) -> None:
    machine = stepped(Election("a"), 0.0, replace(OTHERS, claim=replace(OTHERS.claim, seconds=told)))
    assert isinstance(machine.step(waited - 0.1, ""), Read)
    assert isinstance(machine.step(waited, ""), Update)


def test_a_released_lease_is_taken_at_once_and_an_emptied_one_is_not() -> None:
    released, emptied = (Found(Claim("", seconds, "", "", 3), "5") for seconds in (1, 15))
    machine = stepped(Election("a"), 0.0, released)
    assert machine.pause(0.0, 1.0) == 0.0
    assert isinstance(machine.step(0.0, ""), Update)
    assert isinstance(stepped(Election("a"), 0.0, emptied).step(1.0, ""), Read)


def test_writes_end_a_renew_deadline_after_the_start_of_the_last_renewal_that_was_answered() -> None:
    server = Server()
    machine = leading(server, now=0.0)
    step = machine.step(2.0, "s")
    assert isinstance(step, Update)
    slow = machine.with_answer(step, 2.0, 11.0, server.carry_out(step))
    assert slow.may_write(11.9)
    assert not slow.may_write(12.0)


def test_a_leader_whose_renewals_are_not_answered_is_paused_and_leads_on_if_nobody_took_over() -> None:
    server = Server()
    machine = leading(server, now=0.0)
    for now in (2.0, 6.0, 10.0):
        machine = stepped(machine, now, NO_ANSWER)
        assert machine.pause(now, 0.0) == 2.0
    assert machine.role(10.0) is Role.PAUSED
    machine = on(server, machine, 60.0)
    assert machine.role(60.0) is Role.LEADER


def test_a_renewal_whose_answer_was_lost_is_found_again_by_its_term() -> None:
    server = Server()
    machine = leading(server, now=0.0)
    step = machine.step(2.0, "lost")
    assert step is not None
    server.carry_out(step)
    machine = machine.with_answer(step, 2.0, 6.0, NO_ANSWER)
    for _ in ("conflict", "read", "renew"):
        machine = on(server, machine, 6.0)
        assert machine.may_write(6.0)
    assert machine.renewed_at == 6.0


def test_a_lease_won_by_a_request_whose_answer_was_lost_is_renewed_at_once() -> None:
    server = Server()
    server.put(OTHERS.claim)
    machine = on(server, Election("a"), 0.0)
    step = machine.step(15.0, "lost")
    assert isinstance(step, Update)
    server.carry_out(step)
    machine = machine.with_answer(step, 15.0, 19.0, NO_ANSWER)
    assert not machine.may_write(19.0)
    for _ in ("conflict", "read", "renew"):
        machine = on(server, machine, 21.0)
    assert machine.role(21.0) is Role.LEADER


@pytest.mark.parametrize(("happens", "told"), [
    (lambda server: server.edit(holder="b", acquired="x"), "the lease is held by b"),
    (lambda server: server.edit(holder=""), "the lease was emptied"),
    (lambda server: server.edit(acquired="x"), "the lease is held by a"),
    (lambda server: setattr(server, "lease", None), "the lease was deleted"),
])
def test_a_lease_that_was_stolen_or_deleted_ends_the_leader_at_its_next_renewal(
    happens: Callable[[Server], None], told: str
) -> None:
    server = Server()
    machine = leading(server)
    happens(server)
    for _ in range(2):
        machine = machine if machine.ended else on(server, machine, 2.0)
    assert machine.ended == told
    assert (machine.may_write(2.0), machine.step(2.0, "")) == (False, None)


def test_a_label_that_someone_put_on_the_lease_changes_nothing() -> None:
    server = Server()
    machine = leading(server)
    server.edit()
    for _ in ("conflict", "read", "renew"):
        machine = on(server, machine, 2.0)
    assert machine.renewed_at == 2.0


def test_of_two_who_take_a_free_lease_one_leads() -> None:
    server = Server()
    server.put(Claim("", 1, "", "", 0))
    machines = [on(server, Election(me), 0.0) for me in "ab"]
    machines = [on(server, machine, 0.0) for machine in machines]
    assert [machine.may_write(0.0) for machine in machines] == [True, False]


def test_who_lets_go_writes_nothing_more_and_the_next_one_leads_at_once() -> None:
    server = Server()
    first, second = leading(server, "a"), Election("b")
    second = on(server, second, 1.0)
    first = first.leaving()
    assert not first.may_write(1.0)
    first = on(server, first, 1.0)
    assert first.ended == "the lease was released"
    second = on(server, on(server, second, 1.5), 1.5)
    assert second.may_write(1.5)


def test_who_lets_go_of_a_lease_that_was_stolen_leaves_it_alone() -> None:
    server = Server()
    machine = leading(server).leaving()
    server.edit(holder="b")
    stolen = server.lease
    while not machine.ended:
        machine = on(server, machine, 1.0)
    assert (server.lease, machine.ended) == (stolen, "the lease was another's")


def test_a_standby_that_ends_leaves_the_lease_alone() -> None:
    machine = stepped(Election("a"), 0.0, OTHERS).leaving()
    assert (machine.step(0.0, ""), machine.ended) == (None, "it never led")


def test_a_standby_that_tried_in_vain_releases_nothing_of_others() -> None:
    server = Server()
    server.put(OTHERS.claim)
    machine = on(server, Election("a"), 0.0)
    server.edit(renewed="later")
    machine = on(server, machine, 15.0).leaving()
    while not machine.ended:
        machine = on(server, machine, 15.0)
    assert server.lease is not None
    assert server.lease.claim.holder == "b"


def test_an_api_server_that_does_not_answer_is_not_asked_in_a_rush() -> None:
    machine = stepped(Election("a"), 0.0, NO_ANSWER)
    assert machine.pause(0.0, 0.5) == pytest.approx(2.2)


@pytest.mark.parametrize("seconds", [(10, 10, 2), (15, 10, 10), (15, 10, 0)])
def test_times_that_break_the_laws_are_refused(seconds: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="not retry < renew < lease"):
        Timing(*seconds)


def test_a_write_has_time_to_end_before_the_lease_does() -> None:
    assert TIMING.renew_seconds + TIMING.write_seconds < TIMING.lease_seconds


Fault = tuple[int, int, str, float]
KINDS = ("stop", "cut", "slow", "delete", "steal", "empty", "touch", "kill", "leave")
FAULTS = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 2), st.sampled_from(KINDS), st.floats(0, 40)), max_size=12)


def provoke(world: World, kind: str, machine: Machine, seconds: float) -> None:
    """One fault, of so many seconds where it lasts."""
    if kind == "stop":
        machine.stopped_until = world.now + seconds
    elif kind == "cut":
        machine.cut_until = world.now + seconds
    elif kind == "slow":
        machine.delay = seconds / 5
    elif kind == "delete":
        world.server.lease = None
    elif kind == "steal":
        world.server.edit(holder=world.random.choice(["m0", "m1", "stranger"]))
    elif kind == "empty":
        world.server.edit(holder="")
    elif kind == "touch":
        world.server.edit()
    elif kind == "kill":
        world.restart(machine, after=seconds / 10)
    elif machine.write_ends_at <= world.now:
        machine.election = machine.election.leaving()
    world.disturbed_at = max(world.disturbed_at, world.now)


def happening(faults: list[Fault]) -> Callable[[World], None]:
    """Each at its quarter of a second."""
    def happen(world: World) -> None:
        for at, number, kind, seconds in faults:
            if at * TICK == world.now:
                provoke(world, kind, world.machines[number % len(world.machines)], seconds)

    return happen


@given(st.integers(0, 2**32), st.integers(2, 3), FAULTS)
def test_whatever_happens_no_two_write_and_in_the_end_someone_leads(
    seed: int, machines: int, faults: list[Fault]
) -> None:
    here = world(Random(seed), machines)
    here.run(100, happening(faults))
    for machine in here.machines:
        machine.stopped_until, machine.cut_until, machine.delay = 0.0, 0.0, 0.05
    here.run(TIMING.write_seconds)
    here.disturbed_at = here.now if here.leader() is None else here.disturbed_at
    quiet = here.now
    while here.leader() is None:
        here.run(TICK)
        assert here.now < max(quiet, here.disturbed_at) + (TOLD + 1) / 0.97, "nobody leads"
    here.run(30)
    assert here.leader() is not None, "who leads undisturbed goes on"


def _early(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Election, "_free_at", lambda self, seen: self.seen_at + 10.0)


def _long(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Election, "may_write", lambda self, now: self.renewed_at is not None and now < self.renewed_at + 15)


def _own(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(leadership, "_whole", lambda seconds: 1)


def troubled(seeds: int) -> None:
    """Worlds of faults, one for each seed."""
    for seed in range(seeds):
        random = Random(seed)
        faults = [(random.randrange(400), random.randrange(3), random.choice(KINDS), random.uniform(0, 40))
                  for _ in range(12)]
        world(random, 2 + seed % 2).run(100, happening(faults))


BREAKS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "a record is taken too early": _early, "writes go on too long": _long, "an absent lease counts as released": _own,
}


@pytest.mark.parametrize("broken", sorted(BREAKS))
def test_the_judge_sees_two_leaders_where_a_law_is_broken(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checker checked: each law is needed."""
    BREAKS[broken](monkeypatch)
    with pytest.raises(AssertionError, match="two write"):
        troubled(seeds=400)
