"""The components of the local cluster and broker: their command lines and configuration files."""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import cgroups, pki, security
from .debian import search_path
from .model import State
from .plan import Component, Plan

NODE = "local-node"
PODS = "10.244.0.0/16"
SERVICES = "10.96.0.0/16"
FIRST_SERVICE = "10.96.0.1"
CONTAINERD = "/run/containerd/containerd.sock"
PAUSE_IMAGE = "localhost/pause:1"
KAFKA_PORT, KAFKA_PORT_FOR_PODS, KAFKA_METRICS_PORT = 9092, 9094, 9404


@dataclass(frozen=True)
class Layout:
    """Where one machine's things are: its state folder, its address, the built parts."""

    state: State
    address: str
    kubernetes: Path
    kafka: Path

    @property
    def folder(self) -> Path:
        return self.state.folder

    @property
    def pki(self) -> Path:
        return self.folder / "pki"

    @property
    def server(self) -> str:
        """The API server's address for everybody: host, components and (through 10.96.0.1) pods."""
        return f"https://{self.address}:6443"


def make_plan(layout: Layout, kept: tuple[Path, ...]) -> Plan:
    """Write certificates and configuration files, and answer what the machine has to run."""
    _make_certificates(layout)
    components = (_etcd(layout), _api_server(layout), _containerd(layout), _kafka(layout), _controller_manager(layout),
                  _scheduler(layout), _kubelet(layout), _kube_proxy(layout))  # fmt: skip
    return Plan(NODE, layout.address, SERVICES, tuple(str(folder) for folder in kept), components)


def _make_certificates(layout: Layout) -> None:
    pki.make_authority(layout.pki)
    suffixes = ("", ".default", ".default.svc", ".default.svc.cluster.local")
    in_cluster = [f"DNS:kubernetes{suffix}" for suffix in suffixes]
    addresses = (f"IP:{layout.address}", f"IP:{FIRST_SERVICE}", "IP:127.0.0.1", "DNS:localhost")
    pki.issue(layout.pki, "kube-apiserver", "/O=system:masters/CN=kube-apiserver", (*addresses, *in_cluster))
    pki.issue(layout.pki, "admin", "/O=system:masters/CN=admin")
    pki.issue(layout.pki, "kubelet", f"/O=system:nodes/CN=system:node:{NODE}", (f"IP:{layout.address}", f"DNS:{NODE}"))
    for name in ("kube-controller-manager", "kube-scheduler", "kube-proxy"):
        pki.issue(layout.pki, name, f"/CN=system:{name}")
    security.make(layout.pki, layout.address)
    for name in ("admin", "kubelet", "kube-controller-manager", "kube-scheduler", "kube-proxy"):
        (layout.pki / f"{name}.kubeconfig").write_text(pki.kubeconfig(layout.pki, name, layout.server))
    layout.state.kubeconfig.write_text((layout.pki / "admin.kubeconfig").read_text())
    layout.state.kubeconfig.chmod(0o600)


def _component(
    layout: Layout, name: str, flags: dict[str, str | Path], ready: str, after: tuple[str, ...] = ()
) -> Component:
    argv = (str(layout.kubernetes / name), *(f"--{flag}={value}" for flag, value in flags.items()))
    return Component(name, argv, ready, after, _process_env(layout))


def _process_env(layout: Layout) -> dict[str, str]:
    path = f"{layout.kubernetes}:{search_path()}"
    return {"PATH": path, "HOME": str(layout.folder), "TMPDIR": "/var/tmp", "LANG": "C.UTF-8"}


def _config(layout: Layout, name: str, document: dict[str, Any]) -> Path:
    file = layout.folder / "config" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=1))
    return file


def _etcd(layout: Layout) -> Component:
    flags: dict[str, str | Path] = {
        "data-dir": layout.folder / "etcd", "unsafe-no-fsync": "true",
        "listen-client-urls": "http://127.0.0.1:2379", "advertise-client-urls": "http://127.0.0.1:2379",
        "listen-peer-urls": "http://127.0.0.1:2380", "log-level": "warn",
    }  # fmt: skip
    return _component(layout, "etcd", flags, "tcp:127.0.0.1:2379")


def _api_server(layout: Layout) -> Component:
    folder = layout.pki
    flags: dict[str, str | Path] = {
        "advertise-address": layout.address, "secure-port": "6443", "etcd-servers": "http://127.0.0.1:2379",
        "authorization-mode": "Node,RBAC", "enable-admission-plugins": "NodeRestriction", "allow-privileged": "true",
        "client-ca-file": folder / "ca.crt", "service-cluster-ip-range": SERVICES,
        "tls-cert-file": folder / "kube-apiserver.crt", "tls-private-key-file": folder / "kube-apiserver.key",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": folder / "sa.pub", "service-account-signing-key-file": folder / "sa.key",
        "kubelet-certificate-authority": folder / "ca.crt", "kubelet-preferred-address-types": "InternalIP",
        "kubelet-client-certificate": folder / "kube-apiserver.crt",
        "kubelet-client-key": folder / "kube-apiserver.key",
    }  # fmt: skip
    return _component(layout, "kube-apiserver", flags, f"tcp:{layout.address}:6443", ("etcd",))


def _controller_manager(layout: Layout) -> Component:
    kubeconfig = layout.pki / "kube-controller-manager.kubeconfig"
    flags: dict[str, str | Path] = {
        "kubeconfig": kubeconfig, "authentication-kubeconfig": kubeconfig, "authorization-kubeconfig": kubeconfig,
        "root-ca-file": layout.pki / "ca.crt", "service-account-private-key-file": layout.pki / "sa.key",
        "use-service-account-credentials": "true", "leader-elect": "false",
    }  # fmt: skip
    return _component(layout, "kube-controller-manager", flags, "tcp:127.0.0.1:10257", ("kube-apiserver",))


def _scheduler(layout: Layout) -> Component:
    kubeconfig = layout.pki / "kube-scheduler.kubeconfig"
    flags: dict[str, str | Path] = {
        "kubeconfig": kubeconfig, "authentication-kubeconfig": kubeconfig, "authorization-kubeconfig": kubeconfig,
        "leader-elect": "false",
    }  # fmt: skip
    return _component(layout, "kube-scheduler", flags, "tcp:127.0.0.1:10259", ("kube-apiserver",))


def _kubelet(layout: Layout) -> Component:
    settings = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True},
                           "x509": {"clientCAFile": str(layout.pki / "ca.crt")}},
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(layout.pki / "kubelet.crt"), "tlsPrivateKeyFile": str(layout.pki / "kubelet.key"),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD}",
        "cgroupDriver": "cgroupfs", "cgroupRoot": cgroups.path(layout.state), "enforceNodeAllocatable": [],
        "failCgroupV1": False, "failSwapOn": False, "oomScoreAdj": 0, "resolvConf": "", "maxPods": 250,
        "evictionHard": {"memory.available": "100Mi"}, "imageGCHighThresholdPercent": 100,
        "registryPullQPS": 0, "nodeStatusUpdateFrequency": "5s",
    }  # fmt: skip
    flags: dict[str, str | Path] = {
        "config": _config(layout, "kubelet.json", settings), "kubeconfig": layout.pki / "kubelet.kubeconfig",
        "hostname-override": NODE, "node-ip": layout.address,
    }  # fmt: skip
    return _component(layout, "kubelet", flags, "tcp:127.0.0.1:10248", ("containerd", "kube-apiserver"))


def _kube_proxy(layout: Layout) -> Component:
    settings = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
        "mode": "iptables", "clusterCIDR": PODS, "hostnameOverride": NODE, "oomScoreAdj": 0,
        "clientConnection": {"kubeconfig": str(layout.pki / "kube-proxy.kubeconfig")},
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }  # fmt: skip
    config = _config(layout, "kube-proxy.json", settings)
    return _component(layout, "kube-proxy", {"config": config}, f"tcp:{layout.address}:10256", ("kube-apiserver",))


def _containerd(layout: Layout) -> Component:
    """Pods are joined point to point, not by a bridge: traffic between two pods is then routed, so that kube-proxy's
    rules see it without the kernel's br_netfilter module."""
    network = {
        "cniVersion": "1.0.0", "name": "pods",
        "plugins": [
            {"type": "ptp", "ipMasq": False, "ipam": {
                "type": "host-local", "ranges": [[{"subnet": PODS}]], "routes": [{"dst": "0.0.0.0/0"}]}},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }  # fmt: skip
    folder = _config(layout, "cni/10-pods.conflist", network).parent
    config = layout.folder / "config" / "containerd.toml"
    config.write_text(_CONTAINERD_TOML.format(
        root=layout.folder / "containerd", socket=CONTAINERD, pause=PAUSE_IMAGE, cni=folder,
        snapshotter=snapshotter(layout.folder),
    ))  # fmt: skip
    argv = ("containerd", "--config", str(config))
    return Component("containerd", argv, f"unix:{CONTAINERD}", (), _process_env(layout))


_CONTAINERD_TOML = """version = 2
root = "{root}"
state = "/run/containerd"
[grpc]
address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{cni}"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "{snapshotter}"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"""


def snapshotter(folder: Path, mount_table: str | None = None) -> str:
    """containerd's snapshotter for this folder: overlay file systems cannot be stacked on one another."""
    table = Path("/proc/mounts").read_text() if mount_table is None else mount_table
    mounts = [line.split() for line in table.splitlines()]
    below = [(words[1], words[2]) for words in mounts if folder.is_relative_to(words[1])]
    return "native" if max(below, key=lambda mount: len(mount[0]))[1] == "overlay" else "overlayfs"


def _kafka(layout: Layout) -> Component:
    data, address = layout.folder / "kafka", layout.address
    open_to_all = f"HOST://{address}:{KAFKA_PORT},PODS://{address}:{KAFKA_PORT_FOR_PODS}"
    advertised = open_to_all + security.listeners(address)
    settings = {
        "process.roles": "broker,controller", "node.id": "1", "log.dirs": str(data),
        "controller.quorum.bootstrap.servers": "127.0.0.1:9093", "controller.listener.names": "CONTROLLER",
        "listeners": f"{advertised},CONTROLLER://127.0.0.1:9093", "advertised.listeners": advertised,
        "listener.security.protocol.map":
            f"HOST:PLAINTEXT,PODS:PLAINTEXT,CONTROLLER:PLAINTEXT{security.PROTOCOLS}",
        "inter.broker.listener.name": "HOST", **KAFKA_SETTINGS, **security.broker_settings(layout.pki),
    }  # fmt: skip
    file = layout.folder / "config" / "server.properties"
    file.touch(mode=0o600)
    file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    shown = f"{address}:{KAFKA_METRICS_PORT}:{Path(__file__).parent}/kafka/metrics.yaml"
    agent = f"-javaagent:{layout.kafka}/jmx-agent.jar={shown}"
    java = f"java {JAVA_OPTIONS} {_KAFKA_LOGGING} '{security.java_property(layout.pki)}' -cp '{layout.kafka}/libs/*'"
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    users = security.format_options(layout.pki)
    script = (
        f"test -e '{data}/meta.properties' ||"
        f" {java} kafka.tools.StorageTool format --standalone --cluster-id={cluster} --config '{file}' {users}"
        " || exit 1\n"
        f"exec {java} -Xmx512m '{agent}' kafka.Kafka '{file}'"
    )
    return Component("kafka", ("sh", "-c", script), f"tcp:{address}:{KAFKA_PORT}", (), _process_env(layout))


JAVA_OPTIONS = "-XX:-UsePerfData -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
"""For a broker that lives for minutes: what the second compiler costs at the start is never earned back."""
_KAFKA_LOGGING = " ".join(
    f"'-Dorg.slf4j.simpleLogger.{setting}'"
    for setting in ("showDateTime=true", "dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS", "showThreadName=false")
)

# One broker, so one replica of everything; few partitions of the inner topics, so that it starts quickly. A killed
# broker may come back only when its last session has timed out: 6 s instead of 9 s.
KAFKA_SETTINGS = {
    "broker.session.timeout.ms": "6000", "broker.heartbeat.interval.ms": "500",
    "auto.create.topics.enable": "false", "delete.topic.enable": "true", "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "4", "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4", "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1", "share.coordinator.state.topic.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1", "share.coordinator.state.topic.min.isr": "1",
}  # fmt: skip
