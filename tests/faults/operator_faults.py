"""Faults of the operators themselves: their processes, their clocks, their lease."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from datetime import UTC, datetime

from tests.faults.api import Refused, patiently
from tests.faults.fault import Fault, Lane
from tests.faults.invariants import LEASE
from tests.faults.layout import OPERATOR_NAMESPACE
from tests.faults.operators import Operator
from tests.faults.programs import await_that
from tests.faults.world import World

LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{OPERATOR_NAMESPACE}/leases/{LEASE}"
HOUR = 3600.0
CHILD_SECONDS = 30.0


def leader(world: World) -> Operator:
    """The operator that holds the lease, else the first."""
    if len(world.operators) == 1:
        return world.operators[0]
    with suppress(OSError, Refused):
        holder = str(world.api.call("GET", LEASES)["spec"].get("holderIdentity") or "")
        return next((each for each in world.operators if holder.startswith(each.instance)), world.operators[0])
    return world.operators[0]


class _OfOperator(Fault):
    lane = Lane.OPERATOR

    def inject(self) -> str:
        self.operator = self.choose()
        return f"{self.operator.instance}{self.hit()}"

    def choose(self) -> Operator:
        """Mostly the one that is at work."""
        return leader(self.world) if self.random.random() < 0.7 else self.random.choice(self.world.operators)

    def hit(self) -> str:
        """What is done to it; answers more words, or none."""
        self.operator.kill()
        return ""

    def heal(self) -> None:
        if self.operator.program.pid is None:
            self.operator.start()


class OperatorKilled(_OfOperator):
    """SIGKILL, at whatever it is doing; started again soon."""

    kind = "operator-killed"
    seconds = (0.2, 3.0)


class OperatorTerminated(_OfOperator):
    """SIGTERM, as in a rollout; started again soon."""

    kind = "operator-terminated"
    seconds = (0.2, 2.0)

    def hit(self) -> str:
        self.operator.kill(signal.SIGTERM)
        return ""


class OperatorPaused(_OfOperator):
    """It stands still, and goes on where it was; with two of them, the other may have taken over."""

    kind = "operator-paused"
    seconds = (2.0, 20.0)

    def hit(self) -> str:
        self.operator.program.pause()
        return ""

    def heal(self) -> None:
        self.operator.program.resume()
        super().heal()


class PollingChildKilled(_OfOperator):
    """The process that talks to Kafka dies."""

    kind = "polling-child-killed"
    seconds = (0.5, 3.0)

    def hit(self) -> str:
        await_that(lambda: bool(self.operator.polling_children()), "a polling child", CHILD_SECONDS)
        children = self.operator.polling_children()
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return f", {len(children)} children"


class ClockForward(_OfOperator):
    """The wall clock is stepped ahead by hours; half of the time it is also started under that clock."""

    kind = "clock-forward"
    sign = 1.0

    def hit(self) -> str:
        self.hours = self.sign * self.random.randrange(1, 9)
        self.operator.step_clock(self.hours * HOUR)
        restarted = self.random.random() < 0.5
        if restarted:
            self.operator.kill()
            self.operator.start()
        return f", {self.hours:+.0f} h{', started under it' if restarted else ''}"

    def heal(self) -> None:
        self.operator.step_clock(0.0)
        super().heal()


class ClockBack(ClockForward):
    """The wall clock is stepped back by hours."""

    kind = "clock-back"
    sign = -1.0


class LeaseStolen(Fault):
    """Someone else writes himself into the lease."""

    kind, lane = "lease-stolen", Lane.OPERATOR
    operators = 2
    seconds = (1.0, 6.0)

    def inject(self) -> str:
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        theft = {"spec": {"holderIdentity": "thief", "renewTime": stamp, "acquireTime": stamp}}
        patiently(lambda: self.world.api.call("PATCH", LEASES, theft, "application/merge-patch+json"), "the theft")
        return f"from {leader(self.world).instance}"

    def heal(self) -> None:
        """The lease runs out by itself."""


class LeaseDeleted(Fault):
    """Someone deletes the lease."""

    kind, lane = "lease-deleted", Lane.OPERATOR
    operators = 2
    seconds = (1.0, 6.0)

    def inject(self) -> str:
        name = leader(self.world).instance
        self.world.api.delete(LEASES)
        return f"from {name}"

    def heal(self) -> None:
        """It is made anew by itself."""


OPERATOR_FAULTS: tuple[type[Fault], ...] = (
    OperatorKilled, OperatorTerminated, OperatorPaused, PollingChildKilled, ClockForward, ClockBack, LeaseStolen,
    LeaseDeleted,
)
