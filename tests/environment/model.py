"""What an environment is to its users: addresses, clients, images, and the power to stop a component."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DEFAULT_STATE = REPOSITORY / ".environment"


class Service(Enum):
    """What a user of an environment may need; the value lists the components of the local one."""

    BROKER = ("kafka",)
    API = ("etcd", "kube-apiserver", "kube-controller-manager")
    NODE = ("containerd", "kube-scheduler", "kubelet", "kube-proxy")


WHOLE = tuple(Service)


class EnvironmentFailed(Exception):
    """It cannot be built, started or used: the message is one line, `log` the failing part's last lines."""

    def __init__(self, message: str, log: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.log = log


class Unsupported(Exception):
    """This kind of environment cannot do that, for the reason in the message."""


@dataclass(frozen=True)
class State:
    """The one folder in which a started environment keeps everything it knows."""

    folder: Path

    @property
    def identity(self) -> str:
        """Eight hex digits that name what this environment makes outside its folder, such as its cgroup."""
        return hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]

    @property
    def env_file(self) -> Path:
        return self.folder / "env"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"


@dataclass(frozen=True)
class BrokerSecurity:
    """What a client must know of the secured listeners. Host and pods reach them at the same addresses.

    Args:
        sasl_servers: TLS without client certificates, and SASL.
        tls_servers: TLS with client certificates; the principal is the certificate's common name.
        users: passwords by name, for PLAIN and SCRAM; `operator` and `stranger` have certificates too.
        signing_key_pem: what it signs, the broker takes as a token.
        pki: where the certificates are; `identity.crt` is for a token endpoint on this host, which pods reach at
            `host_address`.
    """

    sasl_servers: str
    tls_servers: str
    sasl_servers_in_cluster: str
    tls_servers_in_cluster: str
    host_address: str
    ca_pem: str
    client_certificate_pem: str
    client_key_pem: str = field(repr=False)
    users: Mapping[str, str] = field(repr=False)
    signing_key_pem: str = field(repr=False)
    pki: Path


@dataclass(frozen=True)
class Environment:
    """A running cluster and broker. Bootstrap servers are `host:port` lists; paths are absolute."""

    kind: str
    kubeconfig: Path
    kafka_bootstrap_servers: str
    kafka_bootstrap_servers_in_cluster: str
    kubectl: Path
    helm: Path
    state: State = field(repr=False)

    def load_image(self, tag: str, context: Path, dockerfile: Path, build_args: Mapping[str, str] | None = None) -> str:
        """Build an image and hand it to the cluster's nodes; answers the name for pods, never to be pulled.

        An unchanged image is not handed over again. Raises EnvironmentFailed with the build's last lines.
        """
        raise Unsupported(f"a {self.kind} environment takes no images from this machine")

    def ensure(self, *services: Service) -> None:
        """Start the services that do not run yet; returns when they answer. Elsewhere than here all of them run."""

    def stop(self, component: str) -> None:
        """Kill a component ("kafka", "kube-apiserver", ...) and hold it down until `start`."""
        raise Unsupported(f"components of a {self.kind} environment are not ours to stop")

    def start(self, component: str) -> None:
        """Let a component run again; returns when it answers."""
        raise Unsupported(f"components of a {self.kind} environment are not ours to start")

    def restart(self, component: str) -> None:
        """Kill a component and start it again at once; returns when it answers."""
        self.stop(component)
        self.start(component)

    def broker_request_counts(self) -> dict[str, int]:
        """Requests the broker has received since it started, by API name ("ListOffsets", "OffsetFetch", ...)."""
        raise Unsupported(f"the broker of a {self.kind} environment does not show its request counts here")

    def security(self) -> BrokerSecurity:
        """The broker's listeners with TLS and SASL, and what clients of them must know."""
        raise Unsupported(f"the broker of a {self.kind} environment has no secured listeners known here")


def qualified(tag: str) -> str:
    """The tag as nodes know it: a bare name belongs to this machine, not to a public registry."""
    return tag if "/" in tag else f"localhost/{tag}"


def env_lines(environment: Environment) -> str:
    """The text of the env file, which a shell can source and make can include."""
    values = {
        "ENVIRONMENT_KIND": environment.kind,
        "KUBECONFIG": environment.kubeconfig,
        "KAFKA_BOOTSTRAP_SERVERS": environment.kafka_bootstrap_servers,
        "KAFKA_BOOTSTRAP_SERVERS_IN_CLUSTER": environment.kafka_bootstrap_servers_in_cluster,
        "KUBECTL": environment.kubectl,
        "HELM": environment.helm,
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def write_env(environment: Environment) -> None:
    """Publish the environment; readers see the whole file or none."""
    file = environment.state.env_file
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".draft")
    draft.write_text(env_lines(environment))
    draft.rename(file)


def read_env(state: State) -> dict[str, str]:
    """What `write_env` wrote, or nothing when no environment was started from this folder."""
    if not state.env_file.exists():
        return {}
    lines = state.env_file.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)
