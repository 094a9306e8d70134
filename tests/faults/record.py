"""What was done in a run, as values: faults, writes, looks. Times are seconds since the epoch by a right clock."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

RECORD_FILE = "record.json"


@dataclass(frozen=True)
class Injected:
    """A fault: from when to when it was in, and what it was in words; `healed` is when all of it was over.

    `is_blind`: no operator could read any lag from `since` to `until`.
    """

    kind: str
    episode: int
    since: float
    until: float
    healed: float
    words: str
    is_blind: bool = False


@dataclass(frozen=True)
class Lifetime:
    """A scaler, which may have had namesakes before and after it."""

    scaler: str
    uid: str
    since: float
    until: float | None

    def ended(self, at: float) -> Lifetime:
        """The same, deleted at that time, unless it was before."""
        return replace(self, until=at) if self.until is None else self


@dataclass(frozen=True)
class Write:
    """A request that changes something, as the API server's audit log has it.

    `replicas` is what the answer says of a Deployment or its scale, None for all else. `end` is when it was answered.
    """

    at: float
    end: float
    user: str
    verb: str
    resource: str
    name: str
    code: int
    replicas: int | None = None
    reason: str = ""
    uid: str = ""
    holder: str = ""

    @property
    def is_done(self) -> bool:
        """Whether it had an effect."""
        return 200 <= self.code < 300


@dataclass(frozen=True)
class Look:
    """What one decision of one operator was given, `at` the time of its sample.

    `doubt` is empty, or why the lag was not wholly known.
    """

    at: float
    scaler: str
    instance: str
    doubt: str
    is_metric_doubt: bool
    replicas: int | None
    scaled_to: int | None


@dataclass(frozen=True)
class Settled:
    """The end of an episode: what was right for a group, and after how many seconds it was there, None if never."""

    episode: int
    scaler: str
    at: float
    right: int
    seconds: float | None
    words: str


@dataclass(frozen=True)
class Bounds:
    """What a scaler may ask for, and the pace it must keep, seconds."""

    least: int
    most: int
    useful: int
    up_cooldown: float
    down_cooldown: float
    down_window: float
    polling: float


@dataclass(frozen=True)
class Record:
    """One run. `users` are the operators; `starts` and `kills` are theirs, by user."""

    users: tuple[str, ...]
    bounds: dict[str, Bounds]
    faults: tuple[Injected, ...] = ()
    lifetimes: tuple[Lifetime, ...] = ()
    writes: tuple[Write, ...] = ()
    looks: tuple[Look, ...] = ()
    seen: tuple[tuple[float, str, int], ...] = ()
    settled: tuple[Settled, ...] = ()
    starts: dict[str, tuple[float, ...]] = field(default_factory=dict)
    kills: dict[str, tuple[float, ...]] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write it into the folder."""
        (folder / RECORD_FILE).write_text(json.dumps(asdict(self), indent=1))


def load(folder: Path) -> Record:
    """The record that `save` wrote."""
    said = json.loads((folder / RECORD_FILE).read_text())
    return Record(
        users=tuple(said["users"]),
        bounds={name: Bounds(**each) for name, each in said["bounds"].items()},
        faults=tuple(Injected(**each) for each in said["faults"]),
        lifetimes=tuple(Lifetime(**each) for each in said["lifetimes"]),
        writes=tuple(Write(**each) for each in said["writes"]),
        looks=tuple(Look(**each) for each in said["looks"]),
        seen=tuple((at, name, number) for at, name, number in said["seen"]),
        settled=tuple(Settled(**each) for each in said["settled"]),
        starts={user: tuple(times) for user, times in said["starts"].items()},
        kills={user: tuple(times) for user, times in said["kills"].items()},
    )


def writes_of(lines: Iterable[str]) -> Iterator[Write]:
    """The writes of an audit log, in the order in which they were answered; a line that was cut off is left out."""
    for line in lines:
        try:
            said = json.loads(line)
        except ValueError:
            continue
        yield _write(said)


def _write(said: dict[str, Any]) -> Write:
    reference, body = said.get("objectRef") or {}, said.get("requestObject") or {}
    answer = said.get("responseObject") or {}
    resource = "/".join(filter(None, (reference.get("resource"), reference.get("subresource"))))
    holder = (answer.get("spec") or {}).get("holderIdentity") or "" if resource == "leases" else ""
    return Write(
        at=_seconds(said["requestReceivedTimestamp"]), end=_seconds(said["stageTimestamp"]),
        user=said["user"]["username"], verb=said["verb"], resource=resource, name=reference.get("name") or "",
        code=int((said.get("responseStatus") or {}).get("code") or 0),
        replicas=_replicas(resource, answer), reason=_reason(resource, answer, body), uid=_uid(resource, answer, body),
        holder=holder,
    )  # fmt: skip


def _replicas(resource: str, answer: dict[str, Any]) -> int | None:
    if not resource.startswith("deployments") or answer.get("kind") not in {"Scale", "Deployment"}:
        return None
    return int((answer.get("spec") or {}).get("replicas") or 0)


def _reason(resource: str, answer: dict[str, Any], body: dict[str, Any] | list[Any]) -> str:
    found = answer.get("reason") or (body.get("reason") if isinstance(body, dict) else "")
    return str(found or "") if resource == "events" else ""


def _uid(resource: str, answer: dict[str, Any], body: dict[str, Any] | list[Any]) -> str:
    """Of the scaler that an event or a status is about."""
    if resource == "events":
        regarding = answer.get("regarding") or (body.get("regarding") if isinstance(body, dict) else None) or {}
        return str(regarding.get("uid") or "")
    return str((answer.get("metadata") or {}).get("uid") or "") if resource.startswith("kafkaconsumerscalers") else ""


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()


def look_of(fetched: dict[str, Any]) -> Look:
    """One look as the operator recorded it, as old as its sample by a right clock: the operator counts from it too."""
    line = fetched["look"]
    metric, group = _metric_doubt(line["partitions"]), line["group"].get("unknown", "")
    replicas, scaled = line["replicas"].get("spec"), line.get("scaled")
    return Look(line["at"] - fetched["offset"], fetched["scaler"], fetched["instance"], metric or group, bool(metric),
                replicas, None if scaled is None else scaled["to"])  # fmt: skip


def was_known(looks: Iterable[Look], scaler: str, since: float) -> bool:
    """Whether a sample since then told a scaler's lag wholly."""
    return any(look.scaler == scaler and look.at >= since and not look.doubt for look in looks)


def _metric_doubt(partitions: dict[str, Any]) -> str:
    if "unknown" in partitions:
        return str(partitions["unknown"])
    return next((str(one["unknown"]) for one in partitions.values() if "unknown" in one), "")
