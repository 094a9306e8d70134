"""The veth pair between host and machine, on a small network that nothing else on the host uses."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from .cache import locked
from .debian import search_path
from .model import EnvironmentFailed, State
from .progress import Progress


def connect(state: State, pid: int) -> str:
    """Join host and machine on a free 10.213.N.0/30; answers the machine's address, the host's is one below.

    The peer is born in the machine's namespace: there is no moment at which a killed start could leave the pair behind.
    Two machines that start at once take turns, so that they do not find the same network free.
    """
    link = name(state)
    with locked("network", Progress(lambda _: None)):
        number = free_number(networks_in_use())
        _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        _ip("address", "add", f"10.213.{number}.1/30", "dev", link)
        _ip("link", "set", link, "up")
    return f"10.213.{number}.2"


def name(state: State) -> str:
    """The host's end of the pair."""
    return f"kcs{state.identity}"


def free_number(taken: Iterable[ipaddress.IPv4Network]) -> int:
    """The first N for which 10.213.N.0/30 overlaps no network."""
    networks = tuple(taken)
    for number in range(256):
        network = ipaddress.IPv4Network(f"10.213.{number}.0/30")
        if not any(network.overlaps(other) for other in networks):
            return number
    raise EnvironmentFailed("no free network among 10.213.0.0/30 to 10.213.255.0/30")


def networks_in_use() -> list[ipaddress.IPv4Network]:
    """The networks that this host routes to, its own addresses included, the default route left out."""
    routes = json.loads(_ip("-json", "-4", "route", "show", "table", "all") or "[]")
    destinations = [route["dst"] for route in routes if route["dst"] != "default"]
    return [ipaddress.IPv4Network(destination, strict=False) for destination in destinations]


def disconnect(state: State) -> None:
    """Remove the pair. It goes away with the machine's namespace, but dying connections may keep that for a minute."""
    if exists(name(state)):
        with suppress(EnvironmentFailed):
            _ip("link", "delete", name(state))


def exists(link: str) -> bool:
    """Whether the host has an interface of this name."""
    return Path(f"/sys/class/net/{link}").exists()


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, env={"PATH": search_path()})
    if done.returncode != 0:
        raise EnvironmentFailed(f"ip {' '.join(words)} failed: {done.stderr.strip()}")
    return done.stdout
