"""The proxies between the operator and everything it talks to."""

from __future__ import annotations

import http.client
import json
from typing import Any

from tests.faults.layout import (
    API_PORT,
    API_PROXY_PORT,
    BROKERS,
    HOST,
    TOXIPROXY_PORT,
    Layout,
    proxy_port,
    upstream_port,
)
from tests.faults.programs import Program, WorldFailed

API = "api"


def broker(number: int) -> str:
    """The name of a broker's proxy."""
    return f"broker-{number}"


def program(layout: Layout) -> Program:
    """The proxy process, not yet started."""
    argv = (str(layout.parts.toxiproxy / "toxiproxy"), "-host", HOST, "-port", str(TOXIPROXY_PORT))
    return Program("toxiproxy", argv, layout.log("toxiproxy"))


def make_all() -> None:
    """One proxy for each broker and one for the API server."""
    ports = {broker(number): (proxy_port(number), upstream_port(number)) for number in BROKERS}
    for name, (port, upstream) in {**ports, API: (API_PROXY_PORT, API_PORT)}.items():
        _call("POST", "/proxies", {"name": name, "listen": f"{HOST}:{port}", "upstream": f"{HOST}:{upstream}"})


def black_hole(name: str) -> None:
    """Open connections stay open and silent, new ones are taken and stay silent too."""
    for stream in ("upstream", "downstream"):
        _add(name, f"hole-{stream}", "timeout", stream, {"timeout": 0})


def slow_down(name: str, milliseconds: int) -> None:
    """Every answer comes later, by up to half as much more or less."""
    _add(name, "slow", "latency", "downstream", {"latency": milliseconds, "jitter": milliseconds // 2})


def reset(name: str) -> None:
    """Every connection is reset within a moment."""
    _add(name, "reset", "reset_peer", "downstream", {"timeout": 50})


def cut(name: str, is_cut: bool) -> None:
    """Nobody listens there, or somebody does again."""
    _call("POST", f"/proxies/{name}", {"enabled": not is_cut})


def heal(name: str) -> None:
    """Take away every toxic."""
    for toxic in _call("GET", f"/proxies/{name}/toxics"):
        _call("DELETE", f"/proxies/{name}/toxics/{toxic['name']}")


def _add(name: str, toxic: str, kind: str, stream: str, attributes: dict[str, int]) -> None:
    _call("POST", f"/proxies/{name}/toxics",
          {"name": toxic, "type": kind, "stream": stream, "toxicity": 1.0, "attributes": attributes})


def _call(method: str, path: str, body: Any = None) -> Any:
    connection = http.client.HTTPConnection(HOST, TOXIPROXY_PORT, timeout=10)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    if answer.status >= 300:
        raise WorldFailed(f"toxiproxy refused {method} {path}: {content.decode(errors='replace')}")
    return json.loads(content) if content else None
