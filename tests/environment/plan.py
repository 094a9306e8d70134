"""What the host tells the machine's first process: its name, address, private folders and components."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass, field
from pathlib import Path

PLAN_FILE = "plan.json"


@dataclass(frozen=True)
class Component:
    """One long-running program. `ready` is `tcp:host:port` or `unix:path`; it starts once all of `after` were ready."""

    name: str
    argv: tuple[str, ...]
    ready: str
    after: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """The whole machine. `kept` are the folders that must stay visible when /var is replaced."""

    node: str
    address: str
    service_network: str
    kept: tuple[str, ...]
    components: tuple[Component, ...]


def write_plan(plan: Plan, state: Path) -> None:
    """Publish the plan; the waiting machine sees the whole file or none."""
    draft = state / f"{PLAN_FILE}.draft"
    draft.write_text(json.dumps(asdict(plan), indent=1))
    draft.rename(state / PLAN_FILE)


def read_plan(state: Path) -> Plan | None:
    """The plan of this state folder, or None while there is none."""
    file = state / PLAN_FILE
    if not file.exists():
        return None
    values = json.loads(file.read_text())
    components = tuple(
        Component(**{**each, "argv": tuple(each["argv"]), "after": tuple(each["after"])})
        for each in values["components"]
    )
    return Plan(**{**values, "kept": tuple(values["kept"]), "components": components})


def is_ready(target: str) -> bool:
    """Whether something listens at `tcp:host:port` or `unix:path`."""
    scheme, _, address = target.partition(":")
    host, _, port = address.rpartition(":")
    family = socket.AF_UNIX if scheme == "unix" else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        try:
            probe.connect(address if scheme == "unix" else (host, int(port)))
        except OSError:
            return False
    return True
