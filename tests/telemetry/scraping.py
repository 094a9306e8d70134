"""A real Prometheus on loopback, and an operator's /metrics for it to scrape."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from kafka_consumer_scaler.telemetry.metrics import CONTENT_TYPE, Metrics
from tests.environment import recipes
from tests.environment.cache import ensure
from tests.environment.progress import Progress, contained, tail

PROGRAMS = ("prometheus", "promtool")
READY_SECONDS = 60.0
LISTENING = re.compile(r'msg="Listening on" address=(\S+)')
OPERATORS_NAMESPACE = "operators"
"""What a ServiceMonitor labels all that it scrapes with, where the scraped series have no such label."""


@functools.cache
def programs() -> dict[str, Path]:
    """Prometheus and promtool: those on PATH, else those of the cache, fetched there once."""
    on_path = {name: Path(found) for name in PROGRAMS if (found := shutil.which(name))}
    if len(on_path) == len(PROGRAMS):
        return on_path
    folder = ensure(recipes.prometheus(), Progress(print))
    return {name: folder / name for name in PROGRAMS}


@contextmanager
def served(metrics: Metrics) -> Iterator[str]:
    """The exposition over HTTP; answers the address as host:port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.end_headers()
            self.wfile.write(metrics.exposition())

        def log_message(self, format: str, *args: object) -> None:
            """Scrapes are not news."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True)
class Prometheus:
    """A running server."""

    address: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The present values; a query that is refused fails the test with the server's words."""
        data = self._get("query", query=expression)
        assert data["resultType"] in {"vector", "matrix"}, data
        found: list[dict[str, Any]] = data["result"]
        return found

    def label_values(self, series: str, label: str) -> list[str]:
        return [str(value) for value in self._get(f"label/{label}/values", **{"match[]": series})]

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, path: str, **parameters: str) -> Any:
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as refused:
            raise AssertionError(f"{path} {parameters}: {refused.read().decode()}") from None


@contextmanager
def prometheus(binary: Path, folder: Path, target: str, rules: Path) -> Iterator[Prometheus]:
    """A server that scrapes the target and evaluates the rules every second, until the block ends."""
    scrape = {"job_name": "operator", "honor_labels": True, "static_configs": [
        {"targets": [target], "labels": {"namespace": OPERATORS_NAMESPACE}}]}
    every = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config, log = folder / "prometheus.yaml", folder / "prometheus.log"
    config.write_text(yaml.safe_dump({"global": every, "scrape_configs": [scrape], "rule_files": [str(rules)]}))
    flags = {"config.file": config, "storage.tsdb.path": folder / "data", "web.listen-address": "127.0.0.1:0"}
    argv: list[str | Path] = [binary, *(f"--{name}={value}" for name, value in flags.items())]
    with log.open("wb") as output:
        process = subprocess.Popen(contained(argv), stdout=output, stderr=output, cwd=folder)
    try:
        yield Prometheus(_address_of(process, log))
    finally:
        process.kill()
        process.wait(30)


def _address_of(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where it listens, by its own log, once it is ready."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if listening := LISTENING.search(log.read_text()):
            with suppress(OSError):
                urllib.request.urlopen(f"http://{listening[1]}/-/ready", timeout=10).close()
                return listening[1]
        time.sleep(0.1)
    raise AssertionError("Prometheus did not start: " + "\n".join(tail(log)))
