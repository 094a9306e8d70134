"""Fixtures of the real cluster and broker. They stay up for the next run; `make environment-down` ends them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings

from tests import environment as environments
from tests.durations import Durations
from tests.environment import Environment, Unsupported
from tests.environment.model import BrokerSecurity
from tests.planted import SUITE
from tests.spilled import Spilled

ROOT = Path(__file__).parents[1]

REAL = {"cluster", "contracts", "environment"}
"""Folders whose tests start programs and networks, and look for what is left of them."""
Client = Callable[..., "subprocess.CompletedProcess[str]"]

settings.register_profile("same", max_examples=100, deadline=None, derandomize=True)
settings.register_profile("explore", max_examples=5000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def pytest_configure(config: pytest.Config) -> None:
    """All that is said is searched for planted secrets at the end, and the time that each test took is kept.

    A shell lets what it starts in the background ignore interrupts, and so would all that tests start and interrupt.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.pluginmanager.register(Spilled(config))
    config.pluginmanager.register(Durations(config))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several processes, one has the environment to itself: some tests stop its broker, or its API server.

    All else is dealt by files, whose fixtures are made once. First, since the groups are read by another such hook.
    """
    for item in items:
        path = item.path.relative_to(ROOT)
        needs_it = "environment" in getattr(item, "fixturenames", ()) or path.parts[1] in REAL
        item.add_marker(pytest.mark.xdist_group("environment" if needs_it else str(path)))


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
def environment() -> Environment:
    """The running environment; one is started when there is none."""
    found = environments.running() or environments.up()
    with suppress(Unsupported):
        _plant(found.security())
    return found


def _plant(security: BrokerSecurity) -> None:
    """What clients of the secured broker know is in no output."""
    for user, password in security.users.items():
        SUITE.plant(password, f"the password of the broker's user {user}")
    SUITE.plant(security.client_key_pem, "the private key of the broker's client")
    SUITE.plant(security.signing_key_pem, "the key that signs tokens")


@pytest.fixture(scope="session")
def kafka_bootstrap_servers(environment: Environment) -> str:
    return environment.kafka_bootstrap_servers


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
def kubectl(environment: Environment) -> Client:
    return _client(environment.kubectl, environment.kubeconfig)


@pytest.fixture(scope="session")
def helm(environment: Environment) -> Client:
    return _client(environment.helm, environment.kubeconfig)


@pytest.fixture
def namespace(environment: Environment, kubectl: Client) -> Iterator[str]:
    """A fresh namespace, deleted afterwards; what its pods logged is kept for the search, where it is a file here."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield name
    for file in (environment.state.folder / "var" / "log" / "pods").glob(f"{name}_*/*/*.log"):
        SUITE.say(f"log of the container {file.parent.name}", file.read_text(errors="replace"))
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def custom_resource_definition(kubectl: Client) -> None:
    """The definitions as deploy/ has them."""
    file = str(ROOT / "deploy" / "crd.yaml")
    kubectl("apply", "--server-side", "--force-conflicts", "-f", file)
    kubectl("wait", "--for=condition=Established", "-f", file, "--timeout=30s")


@pytest.fixture(scope="session")
def operator_image(environment: Environment) -> str:
    """The operator's image, built from this tree and known to the cluster's nodes."""
    return _image(environment, "kafka-consumer-scaler:test", ROOT)


@pytest.fixture(scope="session")
def example_image(environment: Environment) -> str:
    """The image of the example consumer and producer."""
    return _image(environment, "kafka-example:test", ROOT / "examples")
