"""What a run showed, as a table and as lines."""

from __future__ import annotations

from statistics import median

from tests.faults.invariants import violations, wrong_writes
from tests.faults.record import Injected, Record


def table(record: Record) -> str:
    """Faults by kind, injected and survived, in Markdown."""
    kinds = sorted({fault.kind for fault in record.faults})
    rows = [f"| {kind} | {injected} | {survived} |" for kind in kinds for injected, survived in [_counts(record, kind)]]
    injected, survived = _counts(record, None)
    total = f"| all | {injected} | {survived} |"
    return "\n".join(["| fault | injected | survived |", "|---|---|---|", *rows, total])


def figures(record: Record) -> str:
    """The run in one line of numbers."""
    users = record.users
    writes = [write for write in record.writes if write.user in users and write.resource != "leases"]
    scaled = sum(write.resource == "deployments/scale" and write.is_done for write in writes)
    seconds = [one.seconds for one in record.settled if one.seconds is not None]
    took = f"median {median(seconds):.0f} s, worst {max(seconds):.0f} s" if seconds else "never"
    return (f"{len(record.faults)} faults, {len(record.looks)} decisions, {len(writes)} writes by operators "
            f"({scaled} of replicas), {len(wrong_writes(record))} wrong writes; right again: {took}, "
            f"{len(record.settled) - len(seconds)} of {len(record.settled)} never")


def complaints(record: Record, limit: int = 40) -> list[str]:
    """What broke a law, in lines."""
    return [f"{each.law} at {each.at:.1f}: {each.words} [during: {_during(record, each.at)}]"
            for each in violations(record)[:limit]]


def _during(record: Record, at: float) -> str:
    return ", ".join(f"{fault.kind} ({fault.words}) {fault.since - at:+.1f}..{fault.healed - at:+.1f}"
                     for fault in record.faults if fault.since - 1 <= at <= fault.healed + 15) or "peace"


def _counts(record: Record, kind: str | None) -> tuple[int, int]:
    faults = [fault for fault in record.faults if kind in (fault.kind, None)]
    return len(faults), sum(_is_survived(record, fault) for fault in faults)


def _is_survived(record: Record, fault: Injected) -> bool:
    """Nothing broke a law between the fault and the end of its episode."""
    ends = [one.at for one in record.settled if one.episode == fault.episode]
    until = max(ends, default=fault.healed) + 1
    return not any(fault.since <= each.at <= until for each in violations(record))
