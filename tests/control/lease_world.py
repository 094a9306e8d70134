"""A small world in which machines elect a leader: one Lease, clocks that differ, answers that come late or never.

Real time is the world's; each machine reads its own clock, with its own offset and rate. Whatever happens, the judge
watches that no write of one machine can be under way while another begins one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from kafka_consumer_scaler.control.leadership import Answer, Create, Election, Read, Step, Timing
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kube.claim import Claim, Found, Missing

TICK = 0.25
TIMING = Timing()
NO_ANSWER = Unknown("no answer")


@dataclass
class Server:
    """One Lease, as the API server keeps it: each write has a version that was never there before."""

    lease: Found | None = None
    version: int = 0

    def carry_out(self, step: Step) -> Answer:
        if isinstance(step, Read):
            return self.lease or Missing.ABSENT
        if isinstance(step, Create):
            return Missing.CONFLICT if self.lease else self.put(step.claim)
        if self.lease is None:
            return Missing.ABSENT
        return self.put(step.claim) if self.lease.version == step.version else Missing.CONFLICT

    def put(self, claim: Claim) -> Found:
        self.version += 1
        self.lease = Found(claim, str(self.version))
        return self.lease

    def edit(self, **change: str) -> None:
        """By hand, without a version."""
        if self.lease is not None:
            self.put(replace(self.lease.claim, **change))  # type: ignore[arg-type]


@dataclass
class Request:
    """One step under way: when it arrives at the server, and when its answer is back; None if never."""

    step: Step
    started: float
    arrives_at: float | None
    back_at: float | None
    given_up_at: float
    answer: Answer = NO_ANSWER


@dataclass
class Machine:
    """A process with its clock. `stopped_until` is a SIGSTOP; a `cut` loses what it sends or what it is sent."""

    election: Election
    offset: float
    rate: float
    begins_at: float = 0.0
    next_at: float = 0.0
    stopped_until: float = 0.0
    cut_until: float = 0.0
    delay: float = 0.05
    request: Request | None = None
    write_ends_at: float = -1.0

    def clock(self, real: float) -> float:
        return self.offset + real * self.rate

    def may_write(self, real: float) -> bool:
        return real >= max(self.stopped_until, self.begins_at) and self.election.may_write(self.clock(real))


@dataclass
class World:
    """Machines, their server, and a judge."""

    random: Random
    machines: list[Machine]
    server: Server = field(default_factory=Server)
    now: float = 0.0
    late: list[Request] = field(default_factory=list)
    born: int = 0
    disturbed_at: float = 0.0
    leaderless_since: float = 0.0
    waits: list[float] = field(default_factory=list)

    def run(self, seconds: float, happen: Callable[[World], None] = lambda _: None) -> None:
        """So long; `happen` is called at each tick."""
        until = self.now + seconds
        while self.now < until:
            happen(self)
            self._arrivals()
            for machine in self.random.sample(self.machines, len(self.machines)):
                self._let_act(machine)
            self._judge()
            self.now += TICK

    def restart(self, machine: Machine, after: float) -> None:
        """Another process in its place, that remembers nothing."""
        self.born += 1
        machine.election, machine.request = Election(f"{machine.election.me.split('+')[0]}+{self.born}", TIMING), None
        machine.begins_at, machine.stopped_until = self.now + after, 0.0
        self.disturbed_at = max(self.disturbed_at, machine.begins_at)

    def leader(self) -> Machine | None:
        return next((each for each in self.machines if each.may_write(self.now)), None)

    def _arrivals(self) -> None:
        """What was sent long ago may be carried out yet, though nobody waits for its answer."""
        for request in [each for each in self.late if each.arrives_at is not None and each.arrives_at <= self.now]:
            self.late.remove(request)
            self.server.carry_out(request.step)
            self.disturbed_at = max(self.disturbed_at, self.now)

    def _let_act(self, machine: Machine) -> None:
        if self.now < max(machine.stopped_until, machine.begins_at):
            self._serve(machine.request)
            return
        if machine.election.ended:
            self.restart(machine, after=self.random.choice([0.5, 3]))
        elif machine.request is None:
            self._ask(machine)
        else:
            self._hear(machine, machine.request)

    def _serve(self, request: Request | None) -> None:
        if request and request.arrives_at is not None and request.arrives_at <= self.now:
            request.answer, request.arrives_at = self.server.carry_out(request.step), None

    def _ask(self, machine: Machine) -> None:
        if self.now < machine.next_at:
            return
        local = machine.clock(self.now)
        step = machine.election.step(local, f"{machine.election.me} {self.now}")
        if step is None:
            return
        is_cut = self.now < machine.cut_until
        arrives = None if is_cut and self.random.random() < 0.5 else self.now + self.random.uniform(0, machine.delay)
        back = None if is_cut or arrives is None else arrives + self.random.uniform(0, machine.delay)
        machine.request = Request(step, local, arrives, back, self.now + TIMING.write_seconds)

    def _hear(self, machine: Machine, request: Request) -> None:
        self._serve(request)
        is_back = request.back_at is not None and request.back_at <= self.now
        if not is_back and self.now < request.given_up_at:
            return
        answer = request.answer if is_back else NO_ANSWER
        if not is_back and request.arrives_at is not None:
            self.late.append(request)
        local = machine.clock(self.now)
        machine.election = machine.election.with_answer(request.step, request.started, local, answer)
        machine.request = None
        machine.next_at = self.now + machine.election.pause(local, self.random.random()) / machine.rate

    def _judge(self) -> None:
        """A machine that may begin a write begins one, and takes as long for it as it may."""
        for machine in self.machines:
            if not machine.may_write(self.now):
                continue
            for other in self.machines:
                assert other is machine or other.write_ends_at <= self.now, f"{self.now} s: two write, {self}"
            machine.write_ends_at = self.now + TIMING.write_seconds / machine.rate


def world(random: Random, machines: int, clocks_apart: float = 0.03) -> World:
    """Machines that start within some seconds, with clocks that run up to `clocks_apart` too fast or too slow."""
    made = [
        Machine(Election(f"m{number}", TIMING), offset=random.uniform(-1e6, 1e6),
                rate=1 + random.uniform(-clocks_apart, clocks_apart), begins_at=random.uniform(0, 5))
        for number in range(machines)
    ]
    return World(random, made)
