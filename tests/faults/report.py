"""What runs showed, as a table and as lines."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from tests.faults.invariants import violations, wrong_writes
from tests.faults.record import Injected, Record


def table(records: Sequence[Record]) -> str:
    """Faults by kind, injected and survived, in Markdown."""
    survived = [(fault.kind, _is_survived(record, fault)) for record in records for fault in record.faults]
    kinds = sorted({kind for kind, _ in survived})
    rows = [_row(kind, [well for of, well in survived if of == kind]) for kind in kinds]
    return "\n".join(["| fault | injected | survived |", "|---|---|---|", *rows, _row("all", [w for _, w in survived])])


def _row(name: str, survived: Sequence[bool]) -> str:
    return f"| {name} | {len(survived)} | {sum(survived)} |"


def figures(records: Sequence[Record]) -> str:
    """The runs in one line of numbers."""
    writes = [write for record in records for write in record.writes
              if write.user in record.users and write.resource != "leases"]
    scaled = sum(write.resource == "deployments/scale" and write.is_done for write in writes)
    settled = [one for record in records for one in record.settled]
    seconds = [one.seconds for one in settled if one.seconds is not None]
    took = f"median {median(seconds):.0f} s, worst {max(seconds):.0f} s" if seconds else "never"
    faults, looks = (sum(map(len, of)) for of in zip(*((each.faults, each.looks) for each in records), strict=True))
    return (f"{faults} faults, {looks} decisions, {len(writes)} writes by operators "
            f"({scaled} of replicas), {sum(len(wrong_writes(each)) for each in records)} wrong writes; right again: "
            f"{took}, {len(settled) - len(seconds)} of {len(settled)} never")


def complaints(record: Record, limit: int = 40) -> list[str]:
    """What broke a law, in lines."""
    return [f"{each.law} at {each.at:.1f}: {each.words} [during: {_during(record, each.at)}]"
            for each in violations(record)[:limit]]


def _during(record: Record, at: float) -> str:
    return ", ".join(f"{fault.kind} ({fault.words}) {fault.since - at:+.1f}..{fault.healed - at:+.1f}"
                     for fault in record.faults if fault.since - 1 <= at <= fault.healed + 15) or "peace"


def _is_survived(record: Record, fault: Injected) -> bool:
    """Nothing broke a law between the fault and the end of its episode."""
    ends = [one.at for one in record.settled if one.episode == fault.episode]
    until = max(ends, default=fault.healed) + 1
    return not any(fault.since <= each.at <= until for each in violations(record))
