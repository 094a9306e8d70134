"""What must hold of every record, whatever was injected. Each is a pure function that answers what broke it.

    write       a request of an operator that changes something, by the API server's audit log
    change      a write of a scale that was carried out, with the replicas before it
    doubt       a look at which a partition's lag or the group's state was not known
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from tests.faults.record import Bounds, Look, Record, Write

DOUBT_POLLS = 2
"""N: no scale-down within so many polling intervals of a doubt."""
DOUBTS_TOLERATED = 2
"""So many in a row do not break the window of looks that a scale-down asks for; one more does."""
CLOCK_SECONDS = 0.5
"""Between a moment as the operator counts it and the same moment in the audit log."""
UNDER_WAY_SECONDS = 2.0
"""A write that was decided on before a fault may still be carried out."""
DELETION_SECONDS = 5.0
"""Between asking for the uid and the write, which a slow API server may stretch."""
SETTLE_SECONDS = 120.0
LEASE = "election"
LEASE_SECONDS = 15.0
TOLD_LOOKS = 4
"""So many looks in a row without a known lag must have been reported; a single one is shown and not said."""
ALLOWED = frozenset({
    ("patch", "deployments/scale"), ("patch", "kafkaconsumerscalers/status"), ("create", "events"),
    ("patch", "events"), ("create", "leases"), ("update", "leases"), ("patch", "leases"),
})


@dataclass(frozen=True)
class Violation:
    """What broke which law, and when."""

    law: str
    at: float
    words: str


@dataclass(frozen=True)
class Change:
    """Replicas that an operator changed."""

    at: float
    end: float
    user: str
    target: str
    before: int
    after: int

    def __str__(self) -> str:
        return f"{self.target} {self.before} -> {self.after} by {self.user}"


def changes(record: Record) -> tuple[Change, ...]:
    """Every change by an operator, in order; the replicas before are those of the write before, whoever made it."""
    found, known = [], dict[str, int]()
    for write in _in_order(record):
        if write.replicas is None or not write.is_done:
            continue
        before = known.get(write.name, write.replicas)
        known[write.name] = write.replicas
        if write.user in record.users and before != write.replicas:
            found.append(Change(write.at, write.end, write.user, write.name, before, write.replicas))
    return tuple(found)


def _in_order(record: Record) -> list[Write]:
    return sorted(record.writes, key=lambda write: write.end)


def within_bounds(record: Record) -> Iterator[Violation]:
    """Never outside of minReplicas..maxReplicas, and never above the useful partitions."""
    for change in changes(record):
        bounds = record.bounds[change.target]
        if not bounds.least <= change.after <= bounds.most:
            yield Violation("bounds", change.end, f"{change}: not within {bounds.least}..{bounds.most}")
        if change.after > max(bounds.least, bounds.useful):
            yield Violation("useful", change.end, f"{change}: {bounds.useful} are of use")


def seen_within_bounds(record: Record) -> Iterator[Violation]:
    """The same of what the workload's controller saw, so that no write escapes that the audit log lost."""
    for at, target, replicas in record.seen:
        bounds = record.bounds[target]
        if not bounds.least <= replicas <= max(bounds.least, min(bounds.most, bounds.useful)):
            yield Violation("bounds", at, f"{target} was seen at {replicas}")


def no_scale_down_after_doubt(record: Record) -> Iterator[Violation]:
    """No scale-down within N polls of a look in doubt, nor within the window after more of them than are tolerated."""
    for change in changes(record):
        bounds = record.bounds[change.target]
        fresh, window = (change.at - seconds + CLOCK_SECONDS
                         for seconds in (DOUBT_POLLS * bounds.polling, bounds.down_window))
        in_a_row = 0
        for look in (each for each in _looks(record, change) if each.at <= change.at):
            in_a_row = in_a_row + 1 if look.doubt else 0
            since = window if in_a_row > DOUBTS_TOLERATED else fresh
            if change.after < change.before and look.doubt and look.at >= since:
                yield Violation("doubt", change.end, f"{change}: {change.at - look.at:.1f} s before, {look.doubt}")


def _looks(record: Record, change: Change) -> list[Look]:
    return [look for look in record.looks if (look.scaler, look.instance) == (change.target, change.user)]


def no_scale_down_after_a_start(record: Record) -> Iterator[Violation]:
    """An operator that has just started has not seen the window yet."""
    for change in changes(record):
        starts = [at for at in record.starts.get(change.user, ()) if at <= change.at]
        window = record.bounds[change.target].down_window
        if change.after < change.before and starts and change.at - starts[-1] < window - CLOCK_SECONDS:
            yield Violation("start", change.end, f"{change}: {change.at - starts[-1]:.1f} s after a start")


def no_change_while_blind(record: Record) -> Iterator[Violation]:
    """While no operator can read any lag, nothing changes."""
    blind = [fault for fault in record.faults if fault.is_blind]
    for change in changes(record):
        for fault in blind:
            if fault.since + UNDER_WAY_SECONDS < change.at < fault.until:
                yield Violation("blind", change.end, f"{change}: {change.at - fault.since:.1f} s into {fault.kind}")


def cooldowns_kept(record: Record) -> Iterator[Violation]:
    """Between two changes of one target lies the later direction's cooldown, whoever was started in between."""
    for target, bounds in record.bounds.items():
        for one, then in pairwise(change for change in changes(record) if change.target == target):
            cooldown = bounds.up_cooldown if then.after > then.before else bounds.down_cooldown
            if then.at - one.end < cooldown - CLOCK_SECONDS and not _begins_anew(record, target, one, then):
                yield Violation("cooldown", then.end, f"{then}: {then.at - one.end:.1f} s after {one}")


def _begins_anew(record: Record, target: str, one: Change, then: Change) -> bool:
    """Whether another scaler of that name was made in between, which remembers nothing."""
    return any(life.scaler == target and one.at < life.since < then.end for life in record.lifetimes)


def one_leader_writes(record: Record) -> Iterator[Violation]:
    """No operator writes while another one holds the lease, nor longer after its last renewal than a lease lasts.

    Who holds it otherwise, such as a thief, takes no operator's right to write until then. Without a lease there is
    one operator.
    """
    leases = [write for write in _in_order(record) if (write.resource, write.name) == ("leases", LEASE)
              and write.is_done]
    for write in record.writes if leases else ():
        if write.user not in record.users or write.resource == "leases" or not write.is_done:
            continue
        before = [lease for lease in leases if lease.end <= write.at]
        holder = _operator_of(before[-1].holder, record.users) if before else None
        renewals = [lease.end for lease in before if _operator_of(lease.holder, record.users) == write.user]
        is_late = not renewals or write.at - renewals[-1] > LEASE_SECONDS
        if holder != write.user and (holder is not None or is_late):
            yield Violation("leader", write.end, f"{write.user} wrote {write.resource} {write.name}, "
                                                 f"held by {before[-1].holder if before else 'nobody'}")


def _operator_of(holder: str, users: tuple[str, ...]) -> str | None:
    return next((user for user in users if holder.startswith(user)), None)


def nothing_by_the_deleted(record: Record) -> Iterator[Violation]:
    """No target is scaled while it has no scaler."""
    for change in changes(record):
        lives = [life for life in record.lifetimes if life.scaler == change.target and life.since <= change.end]
        over = [life.until for life in lives if life.until is not None and life.until + DELETION_SECONDS < change.at]
        if len(over) == len(lives):
            yield Violation("deleted", change.end, f"{change}: it has no scaler")


def only_what_the_role_is_for(record: Record) -> Iterator[Violation]:
    """No operator writes anything but scales, statuses, events and its lease."""
    for write in record.writes:
        if write.user in record.users and (write.verb, write.resource) not in ALLOWED:
            yield Violation("role", write.end, f"{write.user}: {write.verb} {write.resource} {write.name}")


def said_once(record: Record) -> Iterator[Violation]:
    """Complaint and recovery take turns. Who was killed before it could save that it had spoken may speak again."""
    for life in record.lifetimes:
        said = [write for write in _in_order(record) if write.uid == life.uid and write.is_done
                and write.reason in {"MetricsUnavailable", "MetricsRecovered"}]
        if said and said[0].reason == "MetricsRecovered":
            yield Violation("said", said[0].end, f"{life.scaler}: recovered from nothing that was said")
        for one, then in pairwise(said):
            if one.reason == then.reason and not _started_between(record, one.at, then.end):
                yield Violation("said", then.end, f"{life.scaler}: {then.reason} twice, {then.at - one.at:.1f} s apart")


def _started_between(record: Record, since: float, until: float) -> bool:
    return any(since - UNDER_WAY_SECONDS <= at <= until for times in record.kills.values() for at in times)


def doubt_is_reported(record: Record) -> Iterator[Violation]:
    """Looks in a row without a known lag are reported, and so is their end."""
    for life in record.lifetimes:
        said = [write for write in _in_order(record) if write.uid == life.uid and write.is_done]
        for run, after in _runs_in_doubt(record, life.scaler, life.since, life.until):
            if _started_between(record, run[0].at, after.at):
                continue
            for reason in _unsaid(said, run, after):
                yield Violation("unsaid", after.at, f"{life.scaler}: no {reason} for {len(run)} looks in doubt "
                                                    f"({run[-1].doubt})")


def _unsaid(said: list[Write], run: list[Look], after: Look) -> list[str]:
    """What lacks: the last word before the run's end is a complaint, the first after its end a recovery."""
    about = [write for write in said if write.reason in {"MetricsUnavailable", "MetricsRecovered"}]
    wanted = ("MetricsUnavailable", "MetricsRecovered")
    return [reason for reason in wanted if not any(write.reason == reason and write.at > run[0].at for write in about)]


def _runs_in_doubt(record: Record, scaler: str, since: float, until: float | None
                   ) -> Iterator[tuple[list[Look], Look]]:
    """Runs of at least `TOLD_LOOKS` looks in doubt, with the look that ended each."""
    for user in record.users:
        run: list[Look] = []
        for look in record.looks:
            if (look.scaler, look.instance) != (scaler, user) or not since <= look.at <= (until or look.at):
                continue
            if look.is_metric_doubt:
                run.append(look)
            elif len(run) >= TOLD_LOOKS:
                yield run, look
                run = []
            else:
                run = []


def settles(record: Record) -> Iterator[Violation]:
    """After the faults, the right number of replicas within two minutes."""
    for one in record.settled:
        if one.seconds is None or one.seconds > SETTLE_SECONDS:
            yield Violation("settled", one.at, f"{one.scaler}: {one.right} are right, {one.words}")


Law = Callable[[Record], Iterator[Violation]]

WRITE_LAWS: tuple[Law, ...] = (
    within_bounds, seen_within_bounds, no_scale_down_after_doubt, no_scale_down_after_a_start, no_change_while_blind,
    cooldowns_kept, one_leader_writes, nothing_by_the_deleted, only_what_the_role_is_for,
)
"""What breaks one of these is a wrong write."""
LAWS: tuple[Law, ...] = (*WRITE_LAWS, said_once, doubt_is_reported, settles)


def wrong_writes(record: Record) -> tuple[Violation, ...]:
    """Every write that should not have been made."""
    return tuple(violation for law in WRITE_LAWS for violation in law(record))


def violations(record: Record) -> tuple[Violation, ...]:
    """Everything that broke a law, oldest first."""
    return tuple(sorted((each for law in LAWS for each in law(record)), key=lambda each: each.at))


def bounds_of(least: int, most: int, useful: int, pace: tuple[float, float, float, float]) -> Bounds:
    """With the pace as (up cooldown, down cooldown, down window, polling interval), seconds."""
    return Bounds(least, most, useful, *pace)
