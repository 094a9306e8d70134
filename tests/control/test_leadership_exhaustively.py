"""Two machines and one Lease in whole seconds: every order of asking, carrying out, answering, losing and waiting.

Nobody has to act: time may pass between any two steps, which is every pause and every slow server. The laws' times are
3, 2 and 1 s, a write takes less than a second. By hand the Lease may be deleted or changed once at any moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from kafka_consumer_scaler.control.leadership import Answer, Create, Election, Read, Step, Timing
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kube.claim import Claim, Found, Missing

TIMING = Timing(3, 2, 1)
SECONDS = 8
NO_ANSWER = Unknown("no answer")


@dataclass(frozen=True)
class Request:
    """Under way; carried out once there is an answer."""

    step: Step
    started: int
    answer: Answer | None = None


@dataclass(frozen=True)
class Machine:
    """`right_ends` is when its last write has ended at the latest; `late` a request that was given up, not withdrawn."""

    election: Election
    request: Request | None = None
    late: Step | None = None
    right_ends: float = 0.0


@dataclass(frozen=True)
class State:
    """All there is."""

    now: int
    lease: Found | None
    version: int
    machines: tuple[Machine, Machine]
    hands: int

    def with_machine(self, number: int, **change: object) -> State:
        machines = list(self.machines)
        machines[number] = replace(machines[number], **change)  # type: ignore[arg-type]
        return replace(self, machines=(machines[0], machines[1]))

    def put(self, claim: Claim) -> tuple[State, Answer]:
        found = Found(claim, str(self.version + 1))
        return replace(self, lease=found, version=self.version + 1), found

    def carried_out(self, step: Step) -> tuple[State, Answer]:
        if isinstance(step, Read):
            return self, self.lease or Missing.ABSENT
        if isinstance(step, Create):
            return (self, Missing.CONFLICT) if self.lease else self.put(step.claim)
        if self.lease is None:
            return self, Missing.ABSENT
        return self.put(step.claim) if self.lease.version == step.version else (self, Missing.CONFLICT)


def following(state: State) -> Iterator[State]:
    """Every state that may come next."""
    if state.now < SECONDS:
        yield replace(state, now=state.now + 1)
    if state.hands and state.lease is not None:
        yield replace(state, lease=None, hands=state.hands - 1)
        emptied = replace(state.lease.claim, holder="")
        yield replace(state.put(emptied)[0], hands=state.hands - 1)
    for number, machine in enumerate(state.machines):
        yield from _of_machine(state, number, machine)


def _of_machine(state: State, number: int, machine: Machine) -> Iterator[State]:
    if machine.late is not None:
        yield state.carried_out(machine.late)[0].with_machine(number, late=None)
    request = machine.request
    if request is None:
        step = machine.election.step(state.now, f"{machine.election.me}{state.now}")
        if step is not None:
            yield state.with_machine(number, request=Request(step, state.now))
        return
    if request.answer is None:
        after, answer = state.carried_out(request.step)
        yield after.with_machine(number, request=replace(request, answer=answer))
        late = None if isinstance(request.step, Read) else request.step
        yield _heard(state.with_machine(number, late=late), number, request, NO_ANSWER)
        return
    yield _heard(state, number, request, request.answer)
    yield _heard(state, number, request, NO_ANSWER)


def _heard(state: State, number: int, request: Request, answer: Answer) -> State:
    """A machine that may write does so from now on; never while the other one may, or has a write under way."""
    election = state.machines[number].election.with_answer(request.step, request.started, state.now, answer)
    ends = state.machines[number].right_ends
    if election.may_write(state.now):
        assert election.renewed_at is not None
        other = state.machines[1 - number]
        assert other.right_ends <= state.now, f"two write: {state}"
        ends = election.renewed_at + TIMING.renew_seconds + TIMING.write_seconds
    return state.with_machine(number, election=election, request=None, right_ends=ends)


def explored(lease: Claim, hands: int) -> int:
    """How many different states there are, all of which were looked at."""
    start = State(0, Found(lease, "0"), 0, (Machine(Election("a", TIMING)), Machine(Election("b", TIMING))), hands)
    seen, waiting = {start}, [start]
    while waiting:
        for state in following(waiting.pop()):
            if state not in seen:
                seen.add(state)
                waiting.append(state)
    return len(seen)


if __name__ == "__main__":
    import sys, time
    SECONDS = int(sys.argv[1])
    for hands in (0, 1):
        for c in (Claim("", 1, "", "", 0), Claim("x", 3, "", "", 0)):
            t=time.time(); print(SECONDS, hands, c.seconds, explored(c, hands), time.time()-t, flush=True)
