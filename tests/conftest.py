"""Fixtures of the real cluster and broker. See tests/lanes.py for which process runs what."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.internal.conjecture import providers

from tests import environment as environments
from tests import lanes
from tests.durations import Durations
from tests.environment import DEFAULT_STATE, Environment, Service, Unsupported
from tests.environment.model import BrokerSecurity
from tests.planted import SUITE
from tests.spilled import Spilled

ROOT = Path(__file__).parents[1]

Client = Callable[..., "subprocess.CompletedProcess[str]"]

settings.register_profile("same", max_examples=100, deadline=None, derandomize=True)
settings.register_profile("explore", max_examples=5000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
if settings.get_current_profile_name() == "same":
    # Hypothesis also draws constants of all modules of ours that are loaded: which those are depends on the process.
    providers._get_local_constants = lambda: providers._local_constants


def pytest_configure(config: pytest.Config) -> None:
    """All that is said is searched for planted secrets at the end, and the time that each test took is kept.

    A shell lets what it starts in the background ignore interrupts, and so would all that tests start and interrupt.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.pluginmanager.register(Spilled(config))
    config.pluginmanager.register(Durations(config))


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Of `--numprocesses auto`, and of `logical`: a process for each core."""
    cores = os.cpu_count() or 1
    return cores if config.option.numprocesses == "logical" else lanes.PROCESSES_PER_CORE * cores


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> lanes.LaneScheduling:
    return lanes.LaneScheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """First, since the groups and the marker are read by other such hooks."""
    for item in items:
        if lanes.lane(item) != "pure":
            item.add_marker(lanes.NEEDS)
        item.add_marker(pytest.mark.xdist_group(lanes.group(item)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """What this kind of environment cannot do, such as stopping the caller's broker, is a skip with the reason."""
    try:
        return (yield)
    except Unsupported as reason:
        pytest.skip(str(reason))


def _image(environment: Environment, tag: str, context: Path) -> str:
    try:
        return environment.load_image(tag, context, context / "Dockerfile")
    except Unsupported as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def machine() -> Iterator[Environment]:
    """This process's environment, of which only those services run that a test has asked for.

    The first process's stays up for the next run; `make environment-down` ends it.
    """
    folder = lanes.state_folder()
    found = environments.up(folder=folder, services=())
    with suppress(Unsupported):
        _plant(found.security())
    yield found
    if folder != DEFAULT_STATE:
        environments.down(folder=folder)


@pytest.fixture(scope="session")
def with_broker(machine: Environment) -> Environment:
    """The environment with a running broker."""
    machine.ensure(Service.BROKER)
    return machine


@pytest.fixture(scope="session")
def with_api(machine: Environment) -> Environment:
    """The environment with a running API server and its controllers, and no node."""
    machine.ensure(Service.API)
    return machine


@pytest.fixture(scope="session")
def with_node(with_api: Environment) -> Environment:
    """The environment with a node besides, which runs pods."""
    with_api.ensure(Service.NODE)
    return with_api


@pytest.fixture(scope="session")
def environment(with_broker: Environment, with_api: Environment) -> Environment:
    """The environment with a broker and an API server."""
    return with_broker


def _plant(security: BrokerSecurity) -> None:
    """What clients of the secured broker know is in no output."""
    for user, password in security.users.items():
        SUITE.plant(password, f"the password of the broker's user {user}")
    SUITE.plant(security.client_key_pem, "the private key of the broker's client")
    SUITE.plant(security.signing_key_pem, "the key that signs tokens")


@pytest.fixture(scope="session")
def kafka_bootstrap_servers(with_broker: Environment) -> str:
    return with_broker.kafka_bootstrap_servers


ASKED_AGAIN = 20
NO_CONDITIONS_YET = ".status.conditions accessor error"
"""What `kubectl wait` says of an object that was made a moment ago, instead of waiting."""


def _client(binary: Path, kubeconfig: Path) -> Client:
    def call(*words: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "KUBECONFIG": str(kubeconfig)}
        for _ in range(ASKED_AGAIN):
            done = subprocess.run(
                [binary, *words], input=stdin, capture_output=True, text=True, env=variables, timeout=300)
            if NO_CONDITIONS_YET not in done.stderr:
                break
            time.sleep(0.5)
        if not any("secret" in word.lower() for word in words):
            SUITE.say(f"{binary.name} {' '.join(words)}", done.stdout + done.stderr)
        if check and done.returncode != 0:
            raise AssertionError(f"{binary.name} {' '.join(words)}: {done.stderr.strip()}\n{done.stdout[-2000:]}")
        return done

    return call


@pytest.fixture(scope="session")
def kubectl(with_api: Environment) -> Client:
    return _client(with_api.kubectl, with_api.kubeconfig)


@pytest.fixture(scope="session")
def helm(with_api: Environment) -> Client:
    return _client(with_api.helm, with_api.kubeconfig)


@pytest.fixture
def namespace(with_api: Environment, kubectl: Client) -> Iterator[str]:
    """A fresh namespace, deleted afterwards; what its pods logged is kept for the search, where it is a file here."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield name
    for file in (with_api.state.folder / "var" / "log" / "pods").glob(f"{name}_*/*/*.log"):
        SUITE.say(f"log of the container {file.parent.name}", file.read_text(errors="replace"))
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def custom_resource_definition(kubectl: Client) -> None:
    """The definitions as deploy/ has them."""
    file = str(ROOT / "deploy" / "crd.yaml")
    kubectl("apply", "--server-side", "--force-conflicts", "-f", file)
    kubectl("wait", "--for=condition=Established", "-f", file, "--timeout=180s")


@pytest.fixture(scope="session")
def operator_image(with_node: Environment) -> str:
    """The operator's image, built from this tree and known to the cluster's nodes."""
    return _image(with_node, "kafka-consumer-scaler:test", ROOT)


@pytest.fixture(scope="session")
def example_image(with_node: Environment) -> str:
    """The image of the example consumer and producer."""
    return _image(with_node, "kafka-example:test", ROOT / "examples")
