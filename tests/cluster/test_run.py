"""The operator as a process: its probes, its metrics, its end."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.environment import Environment
from tests.planted import SUITE
from tests.ports import reserved_port
from tests.waiting import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.cluster


@pytest.fixture
def port() -> int:
    return reserved_port()


@pytest.fixture
def running(
    environment: Environment, custom_resource_definition: None, namespace: str, port: int
) -> Iterator[subprocess.Popen[str]]:
    words = ("run", "--kubeconfig", str(environment.kubeconfig), "--namespace", namespace, "--http-port", str(port))
    command = [sys.executable, "-m", "kafka_consumer_scaler", *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


def get(port: int, path: str) -> tuple[int, str]:
    """Status and text; 0 while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def test_it_becomes_ready_shows_its_series_and_ends_in_order(running: subprocess.Popen[str], port: int) -> None:
    eventually(lambda: get(port, "/readyz") == (200, "ok\n"), what="ready")
    assert get(port, "/healthz") == (200, "ok\n")
    status, series = get(port, "/metrics")
    assert status == 200
    assert "kafka_consumer_scaler_resources 0" in series
    running.send_signal(signal.SIGTERM)
    log = SUITE.say("the operator's log", running.communicate(timeout=PATIENCE_SECONDS)[1])
    assert running.returncode == 0
    assert '"message": "stopped"' in log.splitlines()[-1]


def test_without_an_api_server_to_speak_to_it_says_so_and_ends(port: int) -> None:
    nowhere = {"KUBERNETES_SERVICE_HOST": "", "KUBECONFIG": "/does/not/exist", "PATH": ""}
    words = [sys.executable, "-m", "kafka_consumer_scaler", "run", "--http-port", str(port)]
    done = subprocess.run(words, capture_output=True, text=True, env=nowhere, timeout=PATIENCE_SECONDS)
    assert done.returncode == 1
    assert "no API server configured" in done.stderr.splitlines()[-1]
