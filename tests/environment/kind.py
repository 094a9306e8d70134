"""The environment on Docker: a kind cluster and the public Kafka image beside it on kind's network."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import recipes
from .cache import cache_folder, ensure
from .caller import client_tools
from .components import KAFKA_SETTINGS
from .model import Environment, EnvironmentFailed, State, qualified, read_env, write_env
from .plan import is_ready
from .progress import Progress, run

NETWORK = "kind"
PORT_FOR_PODS = 9094
KAFKA_START_SECONDS = 60.0


@dataclass(frozen=True)
class KindEnvironment(Environment):
    """A cluster and broker in Docker containers."""

    def load_image(self, tag: str, context: Path, dockerfile: Path, build_args: Mapping[str, str] | None = None) -> str:
        """See Environment. Built by Docker, then copied to kind's node."""
        name, log = qualified(tag), self.state.log("image")
        arguments = [word for key, value in (build_args or {}).items() for word in ("--build-arg", f"{key}={value}")]
        run(["docker", "build", "--tag", name, "--file", dockerfile, *arguments, context], log)
        run([_kind(Progress(lambda _: None)), "load", "docker-image", name, "--name", name_of(self.state)], log)
        return name


def name_of(state: State) -> str:
    """The name of this state folder's kind cluster; its broker's container has `-kafka` added."""
    return f"kcs-{state.identity}"


def broker_name(state: State) -> str:
    """The name of this state folder's broker container."""
    return f"{name_of(state)}-kafka"


def up(state: State, progress: Progress) -> Environment:
    """The running environment, or a new one where none runs or the one that runs does not answer."""
    known = running(state)
    if known is not None and is_ready(f"tcp:{known.kafka_bootstrap_servers}"):
        progress.say("the kind environment is running")
        return known
    kind = _kind(progress)
    down(state)
    try:
        environment = _start(state, kind, progress)
    except BaseException:
        down(state)
        raise
    write_env(environment)
    return environment


def running(state: State) -> Environment | None:
    """The environment of this state folder if its cluster and its broker both run."""
    values = read_env(state)
    needed = {f"{name_of(state)}-control-plane", broker_name(state)}
    if values.get("ENVIRONMENT_KIND") != "kind" or not needed <= _containers():
        return None
    return KindEnvironment(
        "kind", state.kubeconfig, values["KAFKA_BOOTSTRAP_SERVERS"], values["KAFKA_BOOTSTRAP_SERVERS_IN_CLUSTER"],
        Path(values["KUBECTL"]), Path(values["HELM"]), state,
    )  # fmt: skip


def down(state: State) -> None:
    """Remove the cluster and the broker of this state folder, and the folder. Docker's `kind` network stays."""
    if shutil.which("docker"):
        _quiet("docker", "rm", "--force", "--volumes", broker_name(state))
        _quiet("docker", "rm", "--force", "--volumes", f"{name_of(state)}-control-plane")
    shutil.rmtree(state.folder, ignore_errors=True)


def _start(state: State, kind: Path, progress: Progress) -> Environment:
    tools = client_tools(progress)
    log = cache_folder() / "logs" / "kind.log"
    with progress.step("starting a kind cluster", log):
        state.folder.mkdir(parents=True, exist_ok=True)
        create = ["create", "cluster", "--name", name_of(state), "--wait", "120s"]
        run([kind, *create, "--kubeconfig", state.kubeconfig], log)
    with progress.step(f"starting Kafka {recipes.kafka_version()} in Docker", log):
        port = _free_port()
        run(broker_command(broker_name(state), port), log)
        _await(lambda: is_ready(f"tcp:127.0.0.1:{port}"), log, broker_name(state))
    in_cluster = f"{_address(broker_name(state))}:{PORT_FOR_PODS}"
    servers = f"127.0.0.1:{port}"
    return KindEnvironment("kind", state.kubeconfig, servers, in_cluster, tools["kubectl"], tools["helm"], state)


def broker_command(name: str, port: int) -> list[str]:
    """`docker run` of the public image with a listener for this machine and one on kind's network for pods.

    The container's address is known only inside it, so its shell completes the advertised listeners.
    """
    settings = {
        "KAFKA_PROCESS_ROLES": "broker,controller", "KAFKA_NODE_ID": "1",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093", "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENERS": f"HOST://:9092,PODS://:{PORT_FOR_PODS},CONTROLLER://:9093",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "HOST:PLAINTEXT,PODS:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "PODS",
        **{f"KAFKA_{key.upper().replace('.', '_')}": value for key, value in KAFKA_SETTINGS.items()},
    }  # fmt: skip
    advertised = f"HOST://127.0.0.1:{port},PODS://$(hostname -i):{PORT_FOR_PODS}"
    script = f'export KAFKA_ADVERTISED_LISTENERS="{advertised}"; exec /etc/kafka/docker/run'
    options = [word for key, value in settings.items() for word in ("--env", f"{key}={value}")]
    where = ["--network", NETWORK, "--publish", f"127.0.0.1:{port}:9092"]
    image = f"apache/kafka:{recipes.kafka_version()}"
    return ["docker", "run", "--detach", "--name", name, *where, *options, image, "bash", "-c", script]


def _kind(progress: Progress) -> Path:
    found = shutil.which("kind")
    return Path(found) if found else ensure(recipes.kind(), progress) / "kind"


def _containers() -> set[str]:
    return set(_quiet("docker", "ps", "--format", "{{.Names}}").split())


def _address(container: str) -> str:
    template = f'{{{{(index .NetworkSettings.Networks "{NETWORK}").IPAddress}}}}'
    return _quiet("docker", "inspect", "--format", template, container).strip()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await(check: Callable[[], bool], log: Path, container: str) -> None:
    deadline = time.monotonic() + KAFKA_START_SECONDS
    while not check():
        if time.monotonic() > deadline:
            lines = _quiet("docker", "logs", "--tail", "20", container).splitlines()
            raise EnvironmentFailed(f"kafka did not become ready within {KAFKA_START_SECONDS:.0f} s", tuple(lines))
        time.sleep(0.5)


def _quiet(*words: str) -> str:
    command: Sequence[str] = words
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
